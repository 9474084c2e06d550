// Leaving a list: at once where it offers that (RFC 8058; the server asks it), else by a message to it (RFC 2369), else by its page in
// a tab that does not say where one comes from.
import { sendEmail } from '../compose/sending'
import { writer } from '../compose/writer'
import { ask } from '../design/ask.svelte'
import { notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import type { Email, EmailBody } from '../jmap/types'
import { fromMailto } from '../shell/mailto'
import { mail } from '../store/mail.svelte'
import { at } from '../store/patch'
import { UNSUBSCRIBED, waysOut } from './ways-out'

const OWN = 'urn:posthouse:params:jmap:account'

export async function unsubscribe(email: Email, body: EmailBody, name: string): Promise<void> {
  const ways = waysOut(body)
  if (!(await ask({ title: t('read.unsubscribe'), text: t('read.unsubscribe-ask', { name }), confirm: t('read.unsubscribe') }))) return
  const done = () => void mail.change({ [email.id]: { [at('keywords', UNSUBSCRIBED)]: true } })
  const answer = ways.oneClick && mail.client.has(OWN) ? await atOnce(email) : 'refused'
  if (answer === 'done') {
    done()
    notify(t('read.unsubscribed'))
  } else if (answer === 'away' && !ways.letter) trouble(t('read.unsubscribe-failed'))
  else if (ways.letter) {
    if (await byLetter(email, body, ways.letter)) done()
  } else if (ways.page) window.open(ways.page, '_blank', 'noopener,noreferrer')
}

/** Let the server ask the list. `refused`: another way may do. */
async function atOnce(email: Email): Promise<'done' | 'refused' | 'away'> {
  const batch = mail.client.batch()
  const call = batch.add('Unsubscription/send', { emailId: email.id })
  try {
    await batch.send()
  } catch (fault) {
    mail.meet(fault)
    return 'away'
  }
  if (!call.failed) return 'done'
  return call.failed.type === 'serverUnavailable' ? 'away' : 'refused'
}

async function byLetter(email: Email, body: EmailBody, address: string): Promise<boolean> {
  const values = fromMailto(address)
  const to = values.get('to') ?? ''
  const writes = await writer(email, [...(email.to ?? []), ...(body.cc ?? [])])
  const identity = mail.identities.find((each) => each.id === writes)
  if (!identity) return false
  const message = {
    from: [{ name: identity.name || null, email: identity.email }],
    to: [{ name: null, email: to }],
    subject: values.get('subject') ?? 'unsubscribe',
    bodyStructure: { type: 'text/plain', partId: 'words' },
    bodyValues: { words: { value: `${values.get('body') ?? 'unsubscribe'}\n` } },
  }
  const back = () => void mail.change({ [email.id]: { [at('keywords', UNSUBSCRIBED)]: null } })
  return sendEmail(message, { identityId: identity.id, to: [to], said: t('read.unsubscribed'), undone: back })
}
