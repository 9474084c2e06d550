// Whose mail this device remembers: one account at a time, and without a session nobody's.
import type { Id, Session } from '../jmap/types'
import { SEARCHES } from '../search/recent'
import { Cache } from './cache'

const SESSION = 'posthouse.session'
const ACCOUNT = 'posthouse.account'

/** The session of the last visit, for a start without a connection. */
export function rememberedSession(): Session | undefined {
  const kept = localStorage.getItem(SESSION)
  return kept ? (JSON.parse(kept) as Session) : undefined
}
/** Keep a session; what was kept of another account goes. */
export async function rememberSession(session: Session, account: Id): Promise<void> {
  localStorage.setItem(SESSION, JSON.stringify(session))
  const before = localStorage.getItem(ACCOUNT)
  if (before && before !== account) {
    localStorage.removeItem(SEARCHES)
    await Cache.forget(before)
  }
  localStorage.setItem(ACCOUNT, account)
}
/** The session has ended: forget the mail on this device, so that nobody reads it without one. What is unsent stays. */
export async function forgetSession(): Promise<void> {
  localStorage.removeItem(SESSION)
  localStorage.removeItem(SEARCHES)
  const account = localStorage.getItem(ACCOUNT)
  if (!account) return
  const cache = await Cache.open(account)
  await cache.forgetMail()
  cache.close()
}
