// The ways out of a list that a message names: List-Unsubscribe (RFC 2369), and at once (RFC 8058).
import type { EmailBody } from '../jmap/types'
import { header } from './headers'

/** Set on a message by which one has left its list. */
export const UNSUBSCRIBED = '$unsubscribed'

export interface Ways {
  oneClick: boolean
  letter: string | undefined
  page: string | undefined
}
export function waysOut(body: EmailBody): Ways {
  const all = [...(header(body, 'List-Unsubscribe') ?? '').matchAll(/<([^<>]+)>/g)].map((match) => (match[1] as string).replace(/\s/g, ''))
  const page = all.find((address) => /^https:/i.test(address))
  const letter = all.find((address) => /^mailto:[^?]*@/i.test(address))
  const post = /^\s*List-Unsubscribe\s*=\s*One-Click\s*$/i.test(header(body, 'List-Unsubscribe-Post') ?? '')
  return { oneClick: post && page !== undefined, letter, page }
}
export function canUnsubscribe(body: EmailBody): boolean {
  const { letter, page } = waysOut(body)
  return letter !== undefined || page !== undefined
}
