// The way of a message to one recipient as stations: written, accepted, each attempt, delivered; like a parcel's.
import type { Key } from '../i18n/index.svelte'
import type { EmailSubmission } from '../jmap/types'
import { attemptsFor, told, type Journey, type JourneyRecipient } from './journey'

export interface Station {
  title: Key
  values: Record<string, string>
  /** `tried`: in vain, with another try to come. */
  state: 'done' | 'waiting' | 'tried' | 'failed'
  /** Milliseconds since 1970. */
  at?: number
  /** A moment to come, said in the title as {when}. */
  when?: number
  says?: string
  /** Version and cipher; empty: in clear text; absent: nothing was sent. */
  tls?: string
}
export interface Written {
  sentAt: string | null
  receivedAt: string
}

/** From the journey where the server knows it, else from what the submission says (RFC 8621 §7). */
export function stationsOf(email: Written, submission: EmailSubmission | undefined, address: string, journey: Journey | undefined): Station[] {
  const recipient = journey?.recipients.find((each) => each.address.toLowerCase() === address.toLowerCase())
  const stations: Station[] = [{ title: 'track.written', values: {}, state: 'done', at: moment(email.sentAt ?? email.receivedAt) }]
  if (submission?.undoStatus === 'canceled') return [...stations, { title: 'track.cancelled', values: {}, state: 'failed' }]
  stations.push({ title: 'track.accepted', values: {}, state: 'done', at: journey ? journey.at * 1000 : moment(email.receivedAt) })
  if (submission?.undoStatus === 'pending') return [...stations, { title: 'track.held', values: {}, state: 'waiting', when: moment(submission.sendAt) }]
  if (journey && recipient) stations.push(...onTheWay(journey, recipient))
  else stations.push(asSubmitted(submission, address))
  const status = statusOf(submission, address)
  if (status?.displayed === 'yes') stations.push({ title: 'track.displayed', values: {}, state: 'done' })
  return stations
}

function onTheWay(journey: Journey, recipient: JourneyRecipient): Station[] {
  const stations = attemptsFor(journey, recipient).map(({ kind, at, detail }): Station => {
    const { host, tls, says, gaveUp } = told(detail)
    const common = { at: at * 1000, ...(says ? { says } : {}) }
    const sent = host ? { tls } : {}
    switch (kind) {
      case 'attempted':
        return { title: host ? 'track.attempt-failed' : 'track.attempt-none', values: { host }, state: 'tried', ...common }
      case 'deferred':
        return { title: host ? 'track.attempt-failed' : 'track.attempt-none', values: { host }, state: 'tried', ...common, ...sent }
      case 'delivered':
        if (host) return { title: 'track.delivered-to', values: { host }, state: 'done', ...common, ...sent }
        return { title: 'track.delivered-here', values: {}, state: 'done', at: at * 1000 }
      case 'failed':
        return { title: gaveUp ? 'track.given-up' : host ? 'track.refused' : 'track.failed', values: { host }, state: 'failed', ...common, ...sent }
      case 'dropped':
        return { title: 'track.dropped', values: {}, state: 'failed', ...common }
      default:
        return { title: 'track.stopped', values: {}, state: 'tried', ...common }
    }
  })
  const { queue, state } = recipient
  if (queue && state === 'held') return [...stations, { title: 'track.stopped', values: {}, state: 'waiting' }]
  if (queue && state === 'leased') return [...stations, { title: 'track.leaving', values: {}, state: 'waiting' }]
  if (queue) return [...stations, queue.attempts ? { title: 'track.retry', values: {}, state: 'waiting', when: queue.nextAttemptAt * 1000 } : { title: 'track.queued', values: {}, state: 'waiting' }]
  return stations.length ? stations : [{ title: 'track.unknown', values: {}, state: 'waiting' }]
}

function asSubmitted(submission: EmailSubmission | undefined, address: string): Station {
  const status = statusOf(submission, address)
  const says = status?.smtpReply ? { says: status.smtpReply } : {}
  const accepted = /^2/.test(status?.smtpReply ?? '')
  if (status?.delivered === 'no') return { title: 'track.failed', values: {}, state: 'failed', ...says }
  if (status?.delivered === 'queued') return { title: 'track.queued', values: {}, state: 'waiting', ...says }
  if (status?.delivered === 'yes' || accepted) return { title: 'track.delivered', values: {}, state: 'done', ...says }
  return { title: 'track.unknown', values: {}, state: 'waiting', ...says }
}
function statusOf(submission: EmailSubmission | undefined, address: string) {
  return Object.entries(submission?.deliveryStatus ?? {}).find(([each]) => each.toLowerCase() === address.toLowerCase())?.[1]
}
const moment = (text: string) => new Date(text).getTime()

/** What the whole of it comes to. */
export function stateOf(stations: Station[]): Station['state'] {
  const decisive = stations.filter((station) => station.title !== 'track.displayed').at(-1)
  return decisive?.state === 'tried' ? 'waiting' : (decisive?.state ?? 'waiting')
}
