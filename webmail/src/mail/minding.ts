// What is minded while the application is open: snoozed mail comes back when its time has come, and replies to muted
// conversations are put aside as they arrive. Both are ordinary changes that every client sees.
import type { Email, QueryResponse } from '../jmap/types'
import { LIST_PROPERTIES, mail } from '../store/mail.svelte'
import { at } from '../store/patch'
import { woken } from './snoozing'

const EVERY_MS = 30_000
const MOST = 200

/** Begin; returns how to stop. */
export function mind(): () => void {
  const timer = setInterval(() => void wake(), EVERY_MS)
  void wake()
  mail.onArrival = putAside
  return () => {
    clearInterval(timer)
    mail.onArrival = () => {}
  }
}

/** Bring back what was snoozed until now. */
async function wake(): Promise<void> {
  const snoozed = mail.role('snoozed')
  const inbox = mail.role('inbox')
  if (!snoozed?.totalEmails || !inbox || !mail.online) return
  const batch = mail.client.batch()
  const query = batch.add<QueryResponse>('Email/query', { filter: { inMailbox: snoozed.id }, limit: MOST })
  const emails = batch.get<Email>('Email', { '#ids': query.ref('/ids'), properties: LIST_PROPERTIES })
  try {
    await batch.send()
    mail.take(emails.result.list, [])
    mail.change(woken(emails.result.list, inbox.id, Date.now()))
  } catch (fault) {
    mail.meet(fault)
  }
}

/** RFC 9979: who muted a conversation wants to hear nothing of further replies. */
function putAside(arrived: Email[]): void {
  const [inbox, archive] = [mail.role('inbox')?.id ?? '', mail.role('archive')?.id]
  const muted = arrived.filter((email) => email.mailboxIds[inbox] && !email.keywords['$muted'] && mail.members(email.threadId).some((member) => member.keywords['$muted']))
  if (archive && muted.length) mail.change(Object.fromEntries(muted.map((email) => [email.id, { mailboxIds: { [archive]: true }, [at('keywords', '$seen')]: true, [at('keywords', '$muted')]: true }])))
}
