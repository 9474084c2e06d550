// Snoozed mail: it lies in the Snoozed folder with a keyword that says until when, so that every client can see both.
import type { Email, Id, Patch } from '../jmap/types'
import { at } from '../store/patch'

/** Followed by seconds since 1970. */
export const SNOOZED = '$snoozed-until-'

/** The changes that bring due messages to the inbox, unread. */
export function woken(emails: Email[], inbox: Id, now: number): Record<Id, Patch> {
  const updates: Record<Id, Patch> = {}
  for (const email of emails) {
    const keyword = Object.keys(email.keywords).find((each) => each.startsWith(SNOOZED))
    if (keyword && Number(keyword.slice(SNOOZED.length)) * 1000 > now) continue
    updates[email.id] = { mailboxIds: { [inbox]: true }, [at('keywords', '$seen')]: null, ...(keyword ? { [at('keywords', keyword)]: null } : {}) }
  }
  return updates
}
