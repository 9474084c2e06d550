// Zones as a calendar object describes them (VTIMEZONE, RFC 5545 §3.6.5): programs call theirs as they like ("China Standard Time"), and
// every zone that is named must stand there.
import { momentOf, type Ahead, type Line } from './ical'

interface Observance {
  /** When it began first, as clocks showed it. */
  since: number
  ahead: number
  /** How it comes back every year; undefined: it does not. */
  yearly: { month: number; day: number; week: number } | undefined
}
const DAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA']
const DAY_MS = 86_400_000

/** The zones of an object, by name. */
export function zonesOf(lines: Line[]): Map<string, Ahead> {
  const zones = new Map<string, Ahead>()
  let name: string | undefined
  let observances: Observance[] = []
  let within: Line[] | undefined
  for (const line of lines) {
    const part = `${line.name}:${line.value.toUpperCase()}`
    if (part === 'BEGIN:VTIMEZONE') [name, observances, within] = [undefined, [], undefined]
    else if (part === 'BEGIN:STANDARD' || part === 'BEGIN:DAYLIGHT') within = []
    else if (part === 'END:STANDARD' || part === 'END:DAYLIGHT') {
      const made = within && observanceOf(within)
      if (made) observances.push(made)
      within = undefined
    } else if (part === 'END:VTIMEZONE') {
      const all = observances
      if (name !== undefined && all.length) zones.set(name, (shown) => aheadIn(all, shown))
    } else if (within) within.push(line)
    else if (line.name === 'TZID') name = line.value
  }
  return zones
}

function observanceOf(lines: Line[]): Observance | undefined {
  const value = (name: string) => lines.find((line) => line.name === name)?.value ?? ''
  const since = momentOf({ name: 'DTSTART', parameters: {}, value: `${value('DTSTART').replace(/Z$/, '')}Z` })?.getTime()
  const offset = /^([+-])(\d\d)(\d\d)(\d\d)?$/.exec(value('TZOFFSETTO'))
  if (since === undefined || !offset) return undefined
  const seconds = Number(offset[2]) * 3600 + Number(offset[3]) * 60 + Number(offset[4] ?? 0)
  const rule = value('RRULE').toUpperCase()
  const day = /BYDAY=(-?\d)(\w\w)/.exec(rule)
  const month = Number(/BYMONTH=(\d+)/.exec(rule)?.[1] ?? new Date(since).getUTCMonth() + 1)
  const yearly = day && rule.includes('FREQ=YEARLY') ? { month, day: DAYS.indexOf(day[2] as string), week: Number(day[1]) } : undefined
  return { since, ahead: (offset[1] === '-' ? -1000 : 1000) * seconds, yearly }
}

/** By the observance that has begun last; before all of them, by the first. */
function aheadIn(observances: Observance[], shown: number): number | undefined {
  let found: { begun: number; ahead: number } | undefined
  for (const observance of observances) {
    const begun = lastBegin(observance, shown)
    if (begun !== undefined && (!found || begun > found.begun)) found = { begun, ahead: observance.ahead }
  }
  return (found ?? [...observances].sort((one, other) => one.since - other.since)[0])?.ahead
}

/** When the observance began last before clocks showed `shown`. */
function lastBegin({ since, yearly }: Observance, shown: number): number | undefined {
  if (since > shown) return undefined
  if (!yearly) return since
  const year = new Date(shown).getUTCFullYear()
  const time = since % DAY_MS
  const begins = [year, year - 1].map((each) => dayOf(each, yearly) + (time < 0 ? time + DAY_MS : time))
  return Math.max(since, begins.find((begin) => begin <= shown) ?? since)
}

/** The second Sunday of March, the last of October: the beginning of that day. */
function dayOf(year: number, { month, day, week }: NonNullable<Observance['yearly']>): number {
  const edge = week > 0 ? Date.UTC(year, month - 1, 1) : Date.UTC(year, month, 0)
  const weekday = new Date(edge).getUTCDay()
  const apart = week > 0 ? ((day - weekday + 7) % 7) + (week - 1) * 7 : -((weekday - day + 7) % 7) + (week + 1) * 7
  return edge + apart * DAY_MS
}
