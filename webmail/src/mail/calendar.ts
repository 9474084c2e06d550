// The few things of a calendar part (RFC 5545, RFC 5546) that an invitation shows, and the answer to it.
export interface Invite {
  method: string
  uid: string
  sequence: string
  title: string
  place: string
  start: Date | undefined
  end: Date | undefined
  allDay: boolean
  repeats: boolean
  organizer: string
  attendees: string[]
}
const MOST_LINES = 5_000

interface Line {
  name: string
  parameters: Record<string, string>
  value: string
}

function linesOf(text: string): Line[] {
  return text
    .replace(/\r?\n[ \t]/g, '')
    .split(/\r?\n/)
    .slice(0, MOST_LINES)
    .flatMap((raw) => {
      const match = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^;:"]*)(?:,(?:"[^"]*"|[^;:",]*))*)*):(.*)$/.exec(raw)
      if (!match) return []
      const parameters = Object.fromEntries([...(match[2] as string).matchAll(/;([\w-]+)=("[^"]*"|[^;]*)/g)].map((found) => [(found[1] as string).toUpperCase(), (found[2] as string).replace(/^"|"$/g, '')]))
      return [{ name: (match[1] as string).toUpperCase(), parameters, value: match[3] as string }]
    })
}
const plain = (value: string) => value.replace(/\\n/gi, '\n').replace(/\\([,;\\])/g, '$1')

export function parseInvite(text: string): Invite | undefined {
  const lines = linesOf(text)
  const begin = lines.findIndex((line) => line.name === 'BEGIN' && line.value.toUpperCase() === 'VEVENT')
  const end = lines.findIndex((line, index) => index > begin && line.name === 'END' && line.value.toUpperCase() === 'VEVENT')
  if (begin < 0 || end < 0) return undefined
  const event = lines.slice(begin + 1, end)
  const one = (name: string) => event.find((line) => line.name === name)
  const person = (line: Line | undefined) => line?.parameters['CN'] || line?.value.replace(/^mailto:/i, '') || ''
  return {
    method: lines.find((line) => line.name === 'METHOD')?.value.toUpperCase() ?? '',
    uid: one('UID')?.value ?? '',
    sequence: one('SEQUENCE')?.value ?? '0',
    title: plain(one('SUMMARY')?.value ?? ''),
    place: plain(one('LOCATION')?.value ?? ''),
    start: dateOf(one('DTSTART')),
    end: dateOf(one('DTEND')),
    allDay: one('DTSTART')?.parameters['VALUE'] === 'DATE',
    repeats: one('RRULE') !== undefined,
    organizer: person(one('ORGANIZER')),
    attendees: event.filter((line) => line.name === 'ATTENDEE').map(person),
  }
}

/** UTC, a zone by its name, or floating time, as a moment. */
function dateOf(line: Line | undefined): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?$/.exec(line?.value ?? '')
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [number, number, number, number, number, number]
  const zone = line?.parameters['TZID']
  const utc = Date.UTC(year, month - 1, day, hour, minute, second)
  if (match[7] === 'Z') return new Date(utc)
  if (!zone) return new Date(year, month - 1, day, hour, minute, second)
  try {
    const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' }).formatToParts(utc)
    const get = (type: string) => Number(parts.find((part) => part.type === type)?.value)
    const there = Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second'))
    return new Date(utc - (there - utc))
  } catch {
    return new Date(year, month - 1, day, hour, minute, second)
  }
}
