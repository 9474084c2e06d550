// Leaving a list: by a message to it, which tells it nothing new, else by its page in a tab that does not say where one comes from.
import { ask } from '../design/ask.svelte'
import { t } from '../i18n/index.svelte'
import type { EmailBody } from '../jmap/types'
import { go } from '../router.svelte'
import { header } from './headers'

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
  if (!(await ask({ title: t('read.unsubscribe'), text: t('read.unsubscribe-ask', { name }), confirm: t('read.unsubscribe') }))) return
  if (letter) go(`/compose?mailto=${encodeURIComponent(letter)}`)
  else if (page) window.open(page, '_blank', 'noopener,noreferrer')
}
