// A rule to begin with, for messages like one: by its mailing list where it comes from one, else by its sender.
import type { Email, EmailBody } from '../jmap/types'
import { header } from '../mail/headers'
import { newCondition, newRule, type Rule } from './rules'

export function likeOf(email: Email, body: EmailBody | undefined): Rule {
  const rule = newRule()
  const list = body && header(body, 'List-Id')
  const id = list && /<([^<>\s]{1,255})>\s*$/.exec(list)?.[1] // RFC 2919 §2
  const from = email.from?.[0]
  if (id) {
    rule.name = list.slice(0, list.lastIndexOf('<')).replaceAll('"', '').trim() || id
    rule.conditions = [newCondition('list', id)]
  } else if (from) {
    rule.name = from.name?.trim() || from.email
    rule.conditions = [{ ...newCondition('from', from.email), op: 'is' }]
  } else rule.conditions = [newCondition('subject', email.subject ?? '')]
  rule.name = rule.name.slice(0, 80)
  return rule
}
/** Where a day begins for the reader (RFC 5260 §4.1). */
export function ownZone(now = new Date()): string {
  const minutes = -now.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${String(Math.floor(size / 60)).padStart(2, '0')}${String(size % 60).padStart(2, '0')}`
}
