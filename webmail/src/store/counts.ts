// The numbers beside folders, moved at once with what the reader does; the server's own numbers follow.
import type { Email, Id, Mailbox } from '../jmap/types'

/** Mailboxes whose numbers change when the messages `before` become `after`. `members`: a conversation's messages as they were. */
export function recount(mailboxes: ReadonlyMap<Id, Mailbox>, members: (threadId: Id) => Email[], before: Email[], after: Email[]): Mailbox[] {
  const now = new Map(after.map((email) => [email.id, email]))
  const touched = new Map<Id, Mailbox>()
  const of = (id: Id) => touched.get(id) ?? mailboxes.get(id)
  const add = (id: Id, property: 'totalEmails' | 'unreadEmails' | 'totalThreads' | 'unreadThreads', by: number) => {
    const mailbox = of(id)
    if (mailbox && by) touched.set(id, { ...mailbox, [property]: Math.max(0, mailbox[property] + by) })
  }
  for (const [list, by] of [[before, -1], [after, 1]] as const) {
    for (const email of list) {
      for (const id of Object.keys(email.mailboxIds)) {
        add(id, 'totalEmails', by)
        if (isUnread(email)) add(id, 'unreadEmails', by)
      }
    }
  }
  for (const threadId of new Set(before.map((email) => email.threadId))) {
    const old = members(threadId)
    const fresh = old.map((email) => now.get(email.id) ?? email)
    for (const id of new Set([...old, ...fresh].flatMap((email) => Object.keys(email.mailboxIds)))) {
      const inside = (list: Email[]) => list.filter((email) => email.mailboxIds[id])
      add(id, 'totalThreads', Number(inside(fresh).length > 0) - Number(inside(old).length > 0))
      add(id, 'unreadThreads', Number(inside(fresh).some(isUnread)) - Number(inside(old).some(isUnread)))
    }
  }
  return [...touched.values()]
}

function isUnread(email: Email): boolean {
  return !email.keywords['$seen'] && !email.keywords['$draft']
}
