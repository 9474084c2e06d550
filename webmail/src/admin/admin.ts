// Calls of the administration's methods (docs/jmap-extensions.md) and what they answer.
import { own } from '../settings/own'

export async function admin<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
  return (await own<{ result: T }>(method, args)).result
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
}
export interface Queued {
  id: number
  sender: string
  size: number
  createdAt: number
  recipients: { address: string; state: string; attempts: number; nextAttemptAt: number; lastHost: string; lastReply: string; lastTls: string }[]
}
export interface Line {
  traceId: string
  at: number
  kind: string
  address: string
  detail: string
}
