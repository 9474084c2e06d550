// Calls of the administration's methods (docs/jmap-extensions.md) and what they answer.
import { en } from '../i18n/en'
import { locale, t, type Key } from '../i18n/index.svelte'
import { own } from '../settings/own'

export async function admin<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
  return (await own<{ result: T }>(method, args)).result
}

/** Whether the words of a search stand in any of the texts. */
export function matches(search: string, ...texts: string[]): boolean {
  const whole = texts.join(' ').toLowerCase()
  return search.toLowerCase().split(/\s+/).every((word) => whole.includes(word))
}

/** The addresses of a text, one a line or with commas between. */
export function addressesIn(text: string): string[] {
  return [...new Set(text.split(/[\s,;，；]+/).filter(Boolean))]
}

/** A day, for POSIX seconds in UTC: reports speak of UTC days. */
export function dayOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleDateString(locale(), { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' })
}

/** What a line of the log tells, in the reader's words where there are some. */
export function kindWord(kind: string): string {
  const key = `admin.kind.${kind}`
  return key in en ? t(key as Key) : kind
}

const REASONS = new Map(Object.entries(en).filter(([key]) => key.startsWith('admin.why.')).map(([key, text]) => [text as string, key as Key]))

/** Why a DNS record is wanted: the server's own words, in the reader's language where they are known. */
export function reasonWord(why: string): string {
  const key = REASONS.get(why)
  return key ? t(key) : why
}

export interface Finding {
  level: 'fine' | 'look' | 'wrong'
  subject: string
  text: string
  fix: string
}
export interface Domain {
  name: string
  kind: 'local' | 'backup'
  catchAll: string
  quota: number
  accounts: number
  aliases: number
}
export interface Records {
  records: { name: string; type: string; value: string; why: string }[]
  zone: string
}
export interface Account {
  address: string
  name: string
  admin: boolean
  disabled: boolean
  octets: number
  messages: number
  quota: number
  ownQuota: number
}
export interface Alias {
  address: string
  targets: string[]
}
export interface MailingList {
  address: string
  title: string
  posting: 'members' | 'owners' | 'anyone'
  rewriting: 'strict' | 'always' | 'never'
  owners: string[]
  members: number
}
export interface ListMember {
  address: string
  bounces: number
}
export interface Suppression {
  address: string
  active: boolean
  reason: string
  failures: number
  at: number
}
export interface Reject {
  id: number
  address: string
  receivedAt: number
  size: number
  sender: string
  subject: string
  score: number
  reasons: string[]
}
export interface Report {
  id: number
  direction: 'received' | 'sent'
  kind: 'aggregate' | 'failure' | 'tls'
  domain: string
  organization: string
  begin: number
  end: number
  messages: number
  failures: number
}
export interface ReportDetail {
  row: Report
  content: Record<string, unknown>
}
export interface AggregateRow {
  headerFrom: string
  sourceIp: string
  count: number
  dkim: string
  spf: string
  disposition: string
  dkimSeen: { result: string; domain: string }[]
  spfSeen: { result: string; domain: string }[]
}
export interface TlsPolicy {
  'failure-details'?: Record<string, string | number | null>[]
}
export interface Certificate {
  path: string
  names: string[]
  issuer: string
  own: boolean
  notBefore: number
  notAfter: number
  daysLeft: number
  fingerprint: string
  /** How it stands with the authority that gives one by itself (ACME). */
  acme: { directory: string; renewAt: number; tryAt: number; fault: string; faultAt: number; leftOut: { name: string; why: string }[] } | null
}
export interface Backup {
  folder: string
  madeAt: number
  accounts: number
  octets: number
}
export interface Queued {
  id: number
  traceId: string
  sender: string
  size: number
  createdAt: number
  /** When its sender wants it delivered by (RFC 2852); 0: no time was set. */
  deliverBy: number
  /** What happens then: "R": it comes back, "N": the sender hears of it. */
  byMode: string
  recipients: { address: string; destination: string; state: string; lastAt: number; attempts: number; nextAttemptAt: number; lastHost: string; lastReply: string; lastTls: string }[]
}
export interface Line {
  traceId: string
  at: number
  kind: string
  address: string
  detail: string
}
