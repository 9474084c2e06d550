// Leaving a list: by a message to it, or by its page. One click at the page (RFC 8058) needs a request from the server's side,
// so it is offered only as a link that hides where one comes from.
import { ask } from '../design/ask.svelte'
import { notify } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import type { EmailBody } from '../jmap/types'
import { go } from '../router.svelte'
import { mail } from '../store/mail.svelte'
import { header } from './bodies'

const ONE_CLICK = '/mail/unsubscribe'

function addresses(body: EmailBody): string[] {
  return [...(header(body, 'List-Unsubscribe') ?? '').matchAll(/<([^>]+)>/g)].map((match) => (match[1] as string).trim())
}
export function canUnsubscribe(body: EmailBody): boolean {
  return addresses(body).some((address) => /^(https:|mailto:)/i.test(address))
}

export async function unsubscribe(body: EmailBody, name: string): Promise<void> {
  const all = addresses(body)
  const page = all.find((address) => /^https:/i.test(address))
  const letter = all.find((address) => /^mailto:/i.test(address))
  const oneClick = /^\s*List-Unsubscribe=One-Click\s*$/i.test(header(body, 'List-Unsubscribe-Post') ?? '')
  if (!(await ask({ title: t('read.unsubscribe'), text: t('read.unsubscribe-ask', { name }), confirm: t('read.unsubscribe') }))) return
  if (page && oneClick && (await post(body.id))) return void notify(t('read.unsubscribed'))
  if (letter) return go(`/compose?mailto=${encodeURIComponent(letter)}`)
  if (page) window.open(page, '_blank', 'noopener,noreferrer')
}

/** Ask our server to post for us, so that the list learns nothing of the reader's browser. */
async function post(emailId: string): Promise<boolean> {
  try {
    await mail.client.fetch(`${ONE_CLICK}/${encodeURIComponent(emailId)}`, { method: 'POST' })
    return true
  } catch (fault) {
    mail.meet(fault)
    return false
  }
}
