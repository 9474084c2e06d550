// Calls of our own methods (docs/jmap-extensions.md), one at a time; failures in words.
import { askText } from '../design/ask.svelte'
import { trouble } from '../design/toasts.svelte'
import { en } from '../i18n/en'
import { t, type Key } from '../i18n/index.svelte'
import { Refused, Unreachable } from '../jmap/client'
import { mail } from '../store/mail.svelte'

export async function own<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
  const batch = mail.client.batch()
  const call = batch.add<T>(method, args)
  await batch.send()
  return call.result
}

type SetFault = { type: string; description?: string }
interface SetAnswer<T> {
  created: Record<string, T> | null
  updated: Record<string, unknown> | null
  notCreated?: Record<string, SetFault> | null
  notUpdated?: Record<string, SetFault> | null
  notDestroyed?: Record<string, SetFault> | null
}

/** Type/set; throws what the first object was refused for. */
export async function ownSet<T = unknown>(type: string, args: Record<string, unknown>): Promise<SetAnswer<T>> {
  const answer = await own<SetAnswer<T>>(`${type}/set`, args)
  const [fault] = Object.values({ ...answer.notCreated, ...answer.notUpdated, ...answer.notDestroyed })
  if (fault) throw new Refused(fault.type, fault.description)
  return answer
}

/** What went wrong, for people. */
export function inWords(fault: unknown): string {
  if (fault instanceof Unreachable) return t('state.unreachable')
  if (fault instanceof Refused) {
    if (fault.type === 'wrongPassword') return t('settings.wrong-password')
    if (fault.type === 'wrongCode') return t('settings.wrong-code')
    if (fault.type === 'tooManyAttempts') return t('settings.too-many')
    const known = `fault.${fault.type}`
    return known in en ? t(known as Key, { why: fault.message }) : fault.message
  }
  return t('state.rejected')
}

/** Run something, and say so when it fails. Whether it went well. */
export async function attempt(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (fault) {
    trouble(inWords(fault))
    return false
  }
}

/** Ask for the account's password, then call a method that wants it. undefined: given up or refused. */
export async function withPassword<T>(title: string, method: string, args: Record<string, unknown> = {}): Promise<T | undefined> {
  const password = await askText({ title, text: t('settings.confirm-text'), confirm: t('settings.go-on'), field: { label: t('settings.password'), value: '', type: 'password' } })
  if (!password) return undefined
  let answer: T | undefined
  await attempt(async () => {
    answer = await own<T>(method, { ...args, password })
  })
  return answer
}

export interface Held {
  id: string
  name: string
  agent?: string
  createdAt: number
  expiresAt: number
  lastUsedAt: number
  lastPeer: string
  current?: boolean
  scope?: string[]
}
export interface Security {
  sessions: Held[]
  tokens: Held[]
  passkeys: Held[]
  appPasswords: Held[]
  secondFactor: boolean
  recoveryCodesLeft: number
  doors: string[]
}
export interface Service {
  protocol: 'imap' | 'pop3' | 'smtp'
  host: string
  port: number
  security: 'tls' | 'starttls'
}
export interface Setup {
  address: string
  services: Service[]
  profileUrl: string
  profileQr: string
}

/** A QR code's SVG as the source of an image. */
export function picture(svg: string): string {
  const whole = svg.includes('xmlns=') ? svg : svg.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"')
  return `data:image/svg+xml,${encodeURIComponent(whole)}`
}

/** "Firefox, Linux" of a browser's long name for itself. */
export function browserName(agent: string): string {
  const browser = /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' : /Chrome\//.test(agent) ? 'Chrome' : /Safari\//.test(agent) ? 'Safari' : agent.split(/[ /]/)[0] || '?'
  const system = /Android/.test(agent) ? 'Android' : /iPhone|iPad/.test(agent) ? 'iOS' : /Windows/.test(agent) ? 'Windows' : /Mac OS/.test(agent) ? 'macOS' : /Linux/.test(agent) ? 'Linux' : ''
  return system ? `${browser}, ${system}` : browser
}
