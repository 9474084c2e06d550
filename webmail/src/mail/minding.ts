// What is minded while the application is open: replies to muted conversations are put aside as they arrive, by ordinary changes that
// every client sees. (Snoozed mail is brought back by the server.)
import type { Email } from '../jmap/types'
import { mail } from '../store/mail.svelte'
import { at } from '../store/patch'

/** Begin; returns how to stop. */
export function mind(): () => void {
  mail.onArrival = putAside
  return () => {
    mail.onArrival = () => {}
  }
}

/** RFC 9979: who muted a conversation wants to hear nothing of further replies. */
function putAside(arrived: Email[]): void {
  const [inbox, archive] = [mail.role('inbox')?.id ?? '', mail.role('archive')?.id]
  const muted = arrived.filter((email) => email.mailboxIds[inbox] && !email.keywords['$muted'] && mail.members(email.threadId).some((member) => member.keywords['$muted']))
  if (archive && muted.length) mail.change(Object.fromEntries(muted.map((email) => [email.id, { [at('mailboxIds', inbox)]: null, [at('mailboxIds', archive)]: true, [at('keywords', '$seen')]: true, [at('keywords', '$muted')]: true }])))
}
