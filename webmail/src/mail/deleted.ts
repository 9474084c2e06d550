// Mail that was deleted can be had back for some days (docs/jmap-extensions.md), but not drafts and junk.
import { t } from '../i18n/index.svelte'
import type { Role } from '../jmap/types'
import { mail, type MailStore } from '../store/mail.svelte'

const OWN = 'urn:posthouse:params:jmap:account'
const DAY_S = 86_400
const NOT_KEPT: (Role | null)[] = ['drafts', 'junk']

/** What the server says of the account that is our own extension. */
export function ownCapability(): Record<string, unknown> {
  return mail.client.session.accounts[mail.client.accountId]?.accountCapabilities[OWN] ?? {}
}
/** For how many days; 0: what is deleted is gone at once. */
export function daysKept(): number {
  const seconds = ownCapability()['deletedKept']
  return typeof seconds === 'number' ? Math.floor(seconds / DAY_S) : 0
}
/** The same for what was deleted from a folder. */
export function daysBack(role: Role | null): number {
  return NOT_KEPT.includes(role) ? 0 : daysKept()
}

/** Whether there is a way back, for who is asked before something is deleted in a folder. */
export function wayBack(store: MailStore, role: Role | null): string {
  if (store !== mail) return '' // its owner's to say
  const n = daysBack(role)
  return n ? t('deleted.way-back', { n }) : t('deleted.no-way-back')
}
