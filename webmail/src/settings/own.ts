// Calls of our own methods (docs/jmap-extensions.md), one at a time; failures in words.
import { askText } from '../design/ask.svelte'
import { trouble } from '../design/toasts.svelte'
import { en } from '../i18n/en'
import { t, type Key } from '../i18n/index.svelte'
import { Refused, SignedOut, Unreachable } from '../jmap/client'
import { mail } from '../store/mail.svelte'

export async function own<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
  const batch = mail.client.batch()
  const call = batch.add<T>(method, args)
  try {
    await batch.send()
  } catch (fault) {
    mail.meet(fault) // who is signed out goes to sign in
    throw fault
  }
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
  if (fault instanceof SignedOut) return t('state.signed-out')
  if (!(fault instanceof Refused)) return t('state.rejected')
  const { type, message } = fault
  if (type === 'wrongPassword') return t('settings.wrong-password')
  if (type === 'wrongCode') return t('settings.wrong-code')
  if (type === 'tooManyAttempts') return t('settings.too-many')
  if (/^(5\d\d|serverFail|serverPartialFail)$/.test(type)) return t('state.server-fault')
  const known = `fault.${type}`
  const why = message === type ? '' : message // a bare type says nothing to people
  return known in en ? t(known as Key, { why }).replace(/[:：\s]+$/, '') : why || t('state.rejected')
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

/** Ask for the account's password, then call a method that wants it; a wrong one is asked for again. undefined: given up or refused. */
export async function withPassword<T>(title: string, method: string, args: Record<string, unknown> = {}): Promise<T | undefined> {
  for (;;) {
    const password = await askText({ title, text: t('settings.confirm-text'), confirm: t('settings.go-on'), field: { label: t('settings.password'), value: '', type: 'password' } })
    if (!password) return undefined
    try {
      return await own<T>(method, { ...args, password })
    } catch (fault) {
      trouble(inWords(fault))
      if (!(fault instanceof Refused && fault.type === 'wrongPassword')) return undefined
    }
  }
}

/** How a form is sent: once, however often it is pressed until that is done. */
export function once(send: (event: SubmitEvent) => Promise<void>): (event: SubmitEvent) => void {
  let busy = false
  return (event) => {
    event.preventDefault()
    if (busy) return
    busy = true
    void send(event).finally(() => (busy = false))
  }
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
  protocol: 'imap' | 'pop3' | 'smtp' | 'managesieve'
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
