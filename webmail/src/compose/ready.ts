// What is looked at before a message leaves: addresses, a forgotten attachment, a missing subject.
import { ask } from '../design/ask.svelte'
import { trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { isAddress } from './addresses'
import { everybody, type Draft } from './composers.svelte'
import { htmlToText, speaksOfAttachment } from './quote'

/** Whether to send it. Says what is wrong, or asks. */
export async function isReady(draft: Draft): Promise<boolean> {
  const people = everybody(draft)
  const wrong = people.find((person) => !isAddress(person.email))
  if (wrong || !people.length) {
    trouble(wrong ? t('compose.bad-address', { address: wrong.email }) : t('compose.no-recipient'))
    return false
  }
  const lost = draft.attachments.find((file) => file.failed)
  if (lost) {
    trouble(t('compose.upload-failed', { name: lost.name }) + ' ' + t('compose.take-away'))
    return false
  }
  const files = draft.attachments.some((file) => !file.cid)
  if (!files && speaksOfAttachment(htmlToText(draft.html))) return ask({ title: t('compose.attach'), text: t('compose.forgotten'), confirm: t('compose.send-anyway') })
  if (!draft.subject.trim()) return ask({ title: t('compose.subject'), text: t('compose.no-subject-ask'), confirm: t('compose.send') })
  return true
}
