// Mail that was deleted can be had back for some days (docs/jmap-extensions.md), but not drafts and junk.
import { t } from '../i18n/index.svelte'
import type { Role } from '../jmap/types'
import { mail, type MailStore } from '../store/mail.svelte'

const OWN = 'urn:posthouse:params:jmap:account'
const DAY_S = 86_400
const NOT_KEPT: (Role | null)[] = ['drafts', 'junk']

/** For how many days; 0: what is deleted is gone at once. */
export function daysKept(): number {
  const seconds = mail.client.session.accounts[mail.client.accountId]?.accountCapabilities[OWN]?.['deletedKept']
  return typeof seconds === 'number' ? Math.floor(seconds / DAY_S) : 0
}

/** Whether there is a way back, for who is asked before something is deleted in a folder. */
export function wayBack(store: MailStore, role: Role | null): string {
  if (store !== mail) return '' // its owner's to say
  const n = NOT_KEPT.includes(role) ? 0 : daysKept()
  return n ? t('deleted.way-back', { n }) : t('deleted.no-way-back')
}
