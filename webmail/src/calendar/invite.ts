// What a calendar part says (RFC 5545, RFC 5546), and the answer to it.
import { durationOf, linesOf, momentOf, plain, written, type Ahead, type Line } from './ical'
import { zonesOf } from './zone'

export type Standing = 'ACCEPTED' | 'TENTATIVE' | 'DECLINED'
export interface Attendee {
  name: string
  email: string
  /** PARTSTAT: NEEDS-ACTION, ACCEPTED, … */
  standing: string
}
export interface Invite {
  method: string
  title: string
  description: string
  place: string
  start: Date | undefined
  /** For a whole day: the last day. */
  end: Date | undefined
  allDay: boolean
  repeats: { every: 'DAILY' | 'WEEKLY' | 'MONTHLY' | 'YEARLY'; interval: number } | undefined
  cancelled: boolean
  /** It was sent before, and has changed. */
  changed: boolean
  organizer: Attendee | undefined
  attendees: Attendee[]
  /** Lines that an answer repeats (RFC 5546 §3.2.3). */
  identity: Line[]
}
const REPEATED = ['UID', 'SEQUENCE', 'RECURRENCE-ID', 'ORGANIZER']
const DAY_MS = 86_400_000

export function parseInvite(text: string): Invite | undefined {
  const lines = linesOf(text)
  const begin = lines.findIndex((line) => line.name === 'BEGIN' && line.value.toUpperCase() === 'VEVENT')
  const end = lines.findIndex((line, index) => index > begin && line.name === 'END' && line.value.toUpperCase() === 'VEVENT')
  if (begin < 0 || end < 0) return undefined
  const event = topLevel(lines.slice(begin + 1, end))
  const one = (name: string) => event.find((line) => line.name === name)
  const method = lines.find((line) => line.name === 'METHOD')?.value.toUpperCase() ?? ''
  const zones = zonesOf(lines)
  const start = momentOf(one('DTSTART'), zones)
  const allDay = one('DTSTART')?.parameters['VALUE'] === 'DATE' || /^\d{8}$/.test(one('DTSTART')?.value ?? '')
  return {
    method,
    title: plain(one('SUMMARY')?.value ?? ''),
    description: plain(one('DESCRIPTION')?.value ?? '').trim(),
    place: plain(one('LOCATION')?.value ?? ''),
    start,
    end: endOf(start, { dtend: one('DTEND'), duration: one('DURATION'), allDay, zones }),
    allDay,
    repeats: repeatsOf(one('RRULE')?.value ?? ''),
    cancelled: method === 'CANCEL' || one('STATUS')?.value.toUpperCase() === 'CANCELLED',
    changed: Number(one('SEQUENCE')?.value ?? 0) > 0,
    organizer: one('ORGANIZER') && person(one('ORGANIZER') as Line),
    attendees: event.filter((line) => line.name === 'ATTENDEE').map(person),
    identity: event.filter((line) => REPEATED.includes(line.name)),
  }
}
/** Without what stands in an alarm or another part within. */
function topLevel(lines: Line[]): Line[] {
  let depth = 0
  return lines.filter(({ name }) => {
    if (name === 'BEGIN') depth++
    const inside = depth > 0
    if (name === 'END') depth--
    return !inside
  })
}
function person({ parameters, value }: Line): Attendee {
  const email = value.replace(/^mailto:/i, '').trim()
  return { name: parameters['CN']?.trim() || email, email: /^mailto:/i.test(value) ? email : '', standing: (parameters['PARTSTAT'] ?? 'NEEDS-ACTION').toUpperCase() }
}
interface Ending {
  dtend: Line | undefined
  duration: Line | undefined
  allDay: boolean
  zones: ReadonlyMap<string, Ahead>
}
function endOf(start: Date | undefined, { dtend, duration, allDay, zones }: Ending): Date | undefined {
  const length = durationOf(duration?.value ?? '')
  const end = momentOf(dtend, zones) ?? (start && length !== undefined ? new Date(start.getTime() + length) : undefined)
  if (!end || !start || !allDay) return end
  const last = new Date(end.getTime() - DAY_MS / 2) // RFC 5545 §3.6.1: DTEND is the day after
  return last.getTime() > start.getTime() + DAY_MS / 2 ? last : undefined
}
function repeatsOf(rule: string): Invite['repeats'] {
  const every = /(?:^|;)FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(?:;|$)/i.exec(rule)?.[1]?.toUpperCase()
  return every ? { every: every as 'DAILY', interval: Number(/(?:^|;)INTERVAL=(\d+)/i.exec(rule)?.[1] ?? 1) } : undefined
}

/** Whom it invites of these addresses, as it names them; undefined: nobody. */
export function invited(invite: Invite, own: string[]): Attendee | undefined {
  const mine = new Set(own.map((email) => email.toLowerCase()))
  return invite.attendees.find(({ email }) => mine.has(email.toLowerCase()))
}

/** The answer of one attendee (RFC 5546 §3.2.3): nothing but who answers what to which event. */
export function replyTo(invite: Invite, from: { name: string; email: string }, standing: Standing, now: Date): string {
  const stamp = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const bare = (name: string, value: string) => written({ name, parameters: {}, value })
  return [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//Posthouse//Webmail//EN',
    'METHOD:REPLY',
    'BEGIN:VEVENT',
    ...invite.identity.map(written),
    bare('DTSTAMP', stamp),
    written({ name: 'ATTENDEE', parameters: { PARTSTAT: standing, ...(from.name ? { CN: from.name } : {}) }, value: `mailto:${from.email}` }),
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n')
}
