// What the server tells of a sent message (`Journey/get`, docs/jmap-extensions.md), its lines taken apart.
export interface JourneyEvent {
  /** Seconds since 1970. */
  at: number
  kind: string
  address: string
  detail: string
}
export interface JourneyRecipient {
  address: string
  /** `delivered`, `failed`, `dropped`, or how it stands in the queue: `waiting`, `leased`, `held`. */
  state: string
  events: JourneyEvent[]
  queue: { attempts: number; nextAttemptAt: number; lastAt: number; lastHost: string; lastReply: string; lastTls: string } | null
}
export interface Journey {
  traceId: string
  at: number
  events: JourneyEvent[]
  recipients: JourneyRecipient[]
}

/** A line of the timeline: `given up: mx.example[192.0.2.1]:25 TLSv1.3 CIPHER 250 2.0.0 words`; each part may be absent. */
export interface Told {
  host: string
  /** Version and cipher; empty: none was spoken of. */
  tls: string
  says: string
  gaveUp: boolean
}
const LINE = /^(given up: )?(?:(\S+?)(?:\[[^\]\s]+\](?::\d+)?)?:?\s+(?=TLSv|[245]\d\d[ -]))?(?:(TLSv[\d.]+(?:\s+(?![245]\d\d\b)[\w-]+)?)\s+)?(.*)$/s

export function told(detail: string): Told {
  const match = LINE.exec(detail)
  return { gaveUp: Boolean(match?.[1]), host: match?.[2] ?? '', tls: match?.[3] ?? '', says: match?.[4]?.trim() ?? detail }
}

/** All attempts at one recipient: the server notes a host that was tried in vain once, for the first of those it concerned. */
export function attemptsFor(journey: Journey, recipient: JourneyRecipient): JourneyEvent[] {
  const outcomes = new Set(recipient.events.filter((event) => ['delivered', 'deferred', 'failed'].includes(event.kind)).map((event) => event.at))
  const tried = journey.events.filter((event) => event.kind === 'attempted' && outcomes.has(event.at))
  const own = recipient.events.filter((event) => event.kind !== 'attempted' && event.kind !== 'queued')
  return [...tried, ...own].sort((one, other) => one.at - other.at)
}
