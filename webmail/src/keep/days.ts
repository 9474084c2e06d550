// After how many days mail leaves a folder by itself (docs/jmap-extensions.md, retentionDays).
import type { Mailbox, Role } from '../jmap/types'
import { ownCapability } from '../mail/deleted'

/** Days that are offered; any other number can be typed. */
export const OFFERED: readonly number[] = [7, 30, 90, 365]
/** Folders that keep everything: the inbox, and what is still to be done. */
const KEPT: readonly (Role | null)[] = ['inbox', 'drafts', 'snoozed', 'scheduled']
type Facts = Pick<Mailbox, 'role' | 'retentionDays'>

/** What the house does where nobody has said anything; 0: mail stays. */
export function byDefault(role: Role | null): number {
  const defaults = ownCapability()['retentionDefaults'] as Partial<Record<Role, number>> | undefined
  return (role && defaults?.[role]) || 0
}
/** The days that hold for a folder; 0: its mail stays. */
export function daysOf({ role, retentionDays }: Facts): number {
  return KEPT.includes(role) ? 0 : (retentionDays ?? byDefault(role))
}
/** Whether one may say something of a folder of one's own. */
export function canLimit({ role }: Pick<Mailbox, 'role'>): boolean {
  return mostDays() > 0 && !KEPT.includes(role)
}
/** 0: this server knows nothing of it. */
export function mostDays(): number {
  const most = ownCapability()['maxRetentionDays']
  return typeof most === 'number' ? most : 0
}
