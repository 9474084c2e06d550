// Leaving a list: by one click, which our server makes where the list's signature covers it (RFC 8058), else by a message to it, which
// tells it nothing new, else by its page in a tab that does not say where one comes from.
import { ask } from '../design/ask.svelte'
import { notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { Refused } from '../jmap/client'
import type { EmailBody } from '../jmap/types'
import { go } from '../router.svelte'
import { own } from '../settings/own'
import { header } from './headers'

function addresses(body: EmailBody): string[] {
  return [...(header(body, 'List-Unsubscribe') ?? '').matchAll(/<([^>]+)>/g)].map((match) => (match[1] as string).trim())
}
export function canUnsubscribe(body: EmailBody): boolean {
  return addresses(body).some((address) => /^(https:|mailto:)/i.test(address))
}

function isOneClick(body: EmailBody): boolean {
  return /^\s*List-Unsubscribe=One-Click\s*$/i.test(header(body, 'List-Unsubscribe-Post') ?? '')
}

export async function unsubscribe(body: EmailBody, name: string): Promise<void> {
  const all = addresses(body)
  const page = all.find((address) => /^https:/i.test(address))
  const letter = all.find((address) => /^mailto:/i.test(address))
  if (!(await ask({ title: t('read.unsubscribe'), text: t('read.unsubscribe-ask', { name }), confirm: t('read.unsubscribe') }))) return
  if (page && isOneClick(body)) {
    try {
      await own('Unsubscription/send', { emailId: body.id })
      return void notify(t('read.unsubscribed'))
    } catch (fault) {
      // What is not proved may still be done by hand; a list that refused must be heard of.
      if (!(fault instanceof Refused) || fault.type !== 'notProved') return void trouble(t('read.unsubscribe-failed'))
    }
  }
  if (letter) go(`/compose?mailto=${encodeURIComponent(letter)}`)
  else if (page) window.open(page, '_blank', 'noopener,noreferrer')
}
