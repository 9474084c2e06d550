// Days of the reader's own calendar, as moments (UTCDate of RFC 8620 §1.4) and back.
const utc = (date: Date) => date.toISOString().slice(0, 19) + 'Z'
const two = (number: number) => String(number).padStart(2, '0')

/** "2026-11-25" for a moment in that day; empty: there is none. */
export function dayIn(moment: string | null): string {
  if (!moment) return ''
  const date = new Date(moment)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}
/** The first second of a day. */
export function startOf(day: string): string | null {
  return day ? utc(new Date(`${day}T00:00:00`)) : null
}
/** The last second of a day. */
export function endOf(day: string): string | null {
  return day ? utc(new Date(`${day}T23:59:59`)) : null
}
