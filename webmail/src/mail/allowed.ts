// What one may do with the mail of a place: everything with one's own, with a shared folder what its owner allows (RFC 8621 §2).
import type { Role } from '../jmap/types'
import type { Place } from './place'

export interface Allowed {
  markRead: boolean
  /** Stars and labels. */
  label: boolean
  /** Take messages away: move or delete them. */
  take: boolean
  archive: boolean
  junk: boolean
  /** The house brings back what its own owner has put off, nobody else's. */
  snooze: boolean
}
const ALL: Allowed = { markRead: true, label: true, take: true, archive: true, junk: true, snooze: true }

export function allowedIn({ store, mailbox }: Place): Allowed {
  if (store.isOwn) return ALL
  const may = (right: string) => mailbox?.myRights[right] === true
  const takes = (role: Role) => store.role(role)?.myRights['mayAddItems'] === true
  const take = may('mayRemoveItems')
  return { markRead: may('maySetSeen'), label: may('maySetKeywords'), take, archive: take && takes('archive'), junk: take && takes('junk'), snooze: false }
}
