// iCalendar's lines (RFC 5545 §3.1): folded, named, with parameters; read leniently, written strictly.
export interface Line {
  name: string
  parameters: Record<string, string>
  value: string
}
const MOST_LINES = 5_000
const LINE_OCTETS = 75

export function linesOf(text: string): Line[] {
  return text
    .replace(/\r?\n[ \t]/g, '')
    .split(/\r?\n/)
    .slice(0, MOST_LINES)
    .flatMap((raw) => {
      const match = /^([\w-]+)((?:;[\w-]+=(?:"[^"]*"|[^;:",]*)(?:,(?:"[^"]*"|[^;:",]*))*)*):(.*)$/.exec(raw)
      if (!match) return []
      const parameters = Object.fromEntries([...(match[2] as string).matchAll(/;([\w-]+)=("[^"]*"|[^;]*)/g)].map((found) => [(found[1] as string).toUpperCase(), (found[2] as string).replace(/^"|"$/g, '')]))
      return [{ name: (match[1] as string).toUpperCase(), parameters, value: match[3] as string }]
    })
}

/** A TEXT value as words (RFC 5545 §3.3.11). */
export function plain(value: string): string {
  return value.replace(/\\n/gi, '\n').replace(/\\([,;\\])/g, '$1')
}
/** Words as a TEXT value. */
export function escaped(text: string): string {
  return text.replace(/[\\,;]/g, '\\$&').replace(/\r?\n/g, '\\n')
}

/** A line as it is sent. A parameter that needs it is quoted; quotes and controls cannot stand in one (RFC 5545 §3.2). */
export function written({ name, parameters, value }: Line): string {
  const all = Object.entries(parameters).map(([key, text]) => {
    const clean = text.replace(/["\u0000-\u001f\u007f]/g, '')
    return `;${key}=${/[:;,]/.test(clean) ? `"${clean}"` : clean}`
  })
  return folded(`${name}${all.join('')}:${value.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, '')}`)
}
/** RFC 5545 §3.1: no line longer than 75 octets, none cut within a character. */
export function folded(line: string): string {
  const encoder = new TextEncoder()
  let [text, octets] = ['', 0]
  for (const character of line) {
    const size = encoder.encode(character).length
    if (octets + size > LINE_OCTETS) {
      text += '\r\n '
      octets = 1
    }
    text += character
    octets += size
  }
  return text
}

/** Milliseconds of a DURATION (RFC 5545 §3.3.6); undefined: it is none. */
export function durationOf(value: string): number | undefined {
  const match = /^([+-])?P(?:(\d+)W|(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?)$/.exec(value)
  if (!match) return undefined
  const [weeks, days, hours, minutes, seconds] = match.slice(2).map((part) => Number(part ?? 0)) as [number, number, number, number, number]
  return (match[1] === '-' ? -1 : 1) * 1000 * (((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds)
}

/** Milliseconds by which a zone is ahead of UTC when its clocks show a time, which is given as if they showed UTC; undefined: no such zone. */
export type Ahead = (shown: number) => number | undefined

/** UTC, a zone by its name (one that browsers know, else as the object itself describes it), or floating time, as a moment. */
export function momentOf(line: Line | undefined, described: ReadonlyMap<string, Ahead> = new Map()): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?$/.exec(line?.value ?? '')
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [number, number, number, number, number, number]
  const zone = line?.parameters['TZID']
  const utc = Date.UTC(year, month - 1, day, hour, minute, second)
  if (match[7] === 'Z') return new Date(utc)
  if (!zone || !match[4]) return new Date(year, month - 1, day, hour, minute, second)
  const ahead = aheadByName(zone, utc) ?? described.get(zone)?.(utc)
  return ahead === undefined ? new Date(year, month - 1, day, hour, minute, second) : new Date(utc - ahead)
}

/** `Ahead` of a zone that the browser knows. */
function aheadByName(timeZone: string, shown: number): number | undefined {
  try {
    const clock = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' })
    const aheadAt = (moment: number) => {
      const parts = clock.formatToParts(moment)
      const get = (type: string) => Number(parts.find((part) => part.type === type)?.value)
      return Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second')) - moment
    }
    return aheadAt(shown - aheadAt(shown)) // on the day when clocks are changed the first is only near
  } catch {
    return undefined
  }
}
