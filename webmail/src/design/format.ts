// Dates, sizes and people in the reader's own way of writing.
import { locale, t } from '../i18n/index.svelte'
import type { EmailAddress } from '../jmap/types'

const formats = new Map<string, Intl.DateTimeFormat>()
function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale() + JSON.stringify(options)
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale(), options)
  formats.set(key, made)
  return made
}
const TIME: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }

function daysBefore(date: Date, now: Date): number {
  const day = (value: Date) => new Date(value.getFullYear(), value.getMonth(), value.getDate()).getTime()
  return Math.round((day(now) - day(date)) / 86_400_000)
}

/** For a list's row: the time today, the weekday this week, else the day. */
export function shortDate(text: string, now = new Date()): string {
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) return ''
  const days = daysBefore(date, now)
  if (days === 0) return format(TIME).format(date)
  if (days === 1) return t('time.yesterday')
  if (days > 1 && days < 7) return format({ weekday: 'short' }).format(date)
  if (date.getFullYear() === now.getFullYear()) return format({ day: 'numeric', month: 'short' }).format(date)
  return format({ year: 'numeric', month: 'numeric', day: 'numeric' }).format(date)
}

/** Day and time, whole. */
export function longDate(text: string): string {
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) return text
  return format({ weekday: 'short', year: 'numeric', month: 'long', day: 'numeric', ...TIME }).format(date)
}

/** A day, whole. */
export function longDay(date: Date): string {
  return format({ weekday: 'short', year: 'numeric', month: 'long', day: 'numeric' }).format(date)
}

/** Day and time as one would say it of something near. */
export function nearDate(date: Date, now = new Date(), seconds = false): string {
  const days = daysBefore(date, now)
  const time = format(seconds ? { ...TIME, second: '2-digit' } : TIME).format(date)
  if (days === 0) return time
  const year = date.getFullYear() === now.getFullYear() ? {} : ({ year: 'numeric' } as const)
  return format({ weekday: 'short', ...year, day: 'numeric', month: 'short', ...TIME }).format(date)
}

/** A day, perhaps without its year: `1990-05-17` or `--05-17`. */
export function dayOf(text: string): string {
  const match = /^(\d{4}|-)-(\d\d)-(\d\d)$/.exec(text)
  if (!match) return text
  const date = new Date(match[1] === '-' ? 2000 : Number(match[1]), Number(match[2]) - 1, Number(match[3]))
  return format({ ...(match[1] === '-' ? {} : { year: 'numeric' }), month: 'long', day: 'numeric' }).format(date)
}

export function time(date: Date): string {
  return format(TIME).format(date)
}

/** 1 kB is 1,000 octets, as in file managers. */
export function size(octets: number): string {
  const units = ['B', 'kB', 'MB', 'GB'] as const
  let value = octets
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toLocaleString(locale(), { maximumFractionDigits: value < 10 && unit > 0 ? 1 : 0 })} ${units[unit]}`
}

/** Without the characters that turn round what stands beside them: `exe.fdp` must not be read as `fdp.exe`, nor an address backwards. */
export function straight(text: string): string {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, '')
}
/** A person's name, else the address. */
export function personName(person: EmailAddress): string {
  return straight(person.name ?? '').trim() || person.email
}
/** The name by which one calls somebody in a list. */
export function firstName(person: EmailAddress): string {
  const name = straight(person.name ?? '').trim()
  if (!name) return person.email.split('@')[0] || person.email
  return /^[\p{Script=Latin}\p{M}'’. -]+$/u.test(name) ? (name.split(/\s+/)[0] as string) : name
}
/** `Name <address>`, quoted where RFC 5322 wants it. */
export function fullAddress(person: EmailAddress): string {
  const name = straight(person.name ?? '').trim()
  if (!name) return person.email
  return `${/[^\p{L}\p{N}\s'’._-]/u.test(name) ? JSON.stringify(name) : name} <${person.email}>`
}
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase()
}

/** Octets as text, in a charset that may be unknown or missing. */
export function decodeText(octets: ArrayBuffer, charset: string | null | undefined): string {
  try {
    return new TextDecoder(charset ?? 'utf-8').decode(octets)
  } catch {
    return new TextDecoder().decode(octets) // no browser knows the charset
  }
}
