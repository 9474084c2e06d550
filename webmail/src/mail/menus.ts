// The choices behind move, label and snooze.
import { askText } from '../design/ask.svelte'
import { longDay, nearDate } from '../design/format'
import type { Item } from '../design/Menu.svelte'
import { trouble } from '../design/toasts.svelte'
import { t, type Key } from '../i18n/index.svelte'
import type { Mailbox } from '../jmap/types'
import { mail, type MailStore } from '../store/mail.svelte'
import { ownerOf, shared } from '../store/shared.svelte'
import * as actions from './actions'
import { allowedIn } from './allowed'
import { isLabel, labelName, type Row } from './conversation'
import { folderIcon, folderName, ROLE_ORDER, type Place } from './place'
import { withTarget } from './view.svelte'

/** Where conversations may go: folders of their own account, then those of others. */
export function folderItems(place: Place): Item[] {
  const others = [mail, ...shared.values()].filter((store) => store !== place.store)
  const own = allowedIn(place).take ? foldersOf(place.store, place) : []
  return [...own, ...others.flatMap((store) => foldersOf(store, place).map((item, index) => ({ ...item, hint: ownerOf(store), apart: index === 0 })))]
}
function foldersOf(store: MailStore, place: Place): Item[] {
  const here = store === place.store ? place.mailbox?.id : undefined
  const all = [...store.mailboxes.values()].filter((mailbox) => mailbox.id !== here && mailbox.myRights['mayAddItems'] !== false && !['drafts', 'sent', 'scheduled', 'snoozed'].includes(mailbox.role ?? ''))
  const order = (mailbox: Mailbox) => (mailbox.role ? ROLE_ORDER.indexOf(mailbox.role) : 99)
  all.sort((one, other) => order(one) - order(other) || one.name.localeCompare(other.name))
  return all.map((mailbox) => ({ label: folderName(mailbox), icon: folderIcon(mailbox), run: () => withTarget((chosen) => actions.moveTo(chosen, mailbox.id, 'done.moved', store), true) }))
}

export function labelItems(rows: Row[], { store }: Place): Item[] {
  const known = new Set<string>()
  for (const email of store.emails.values()) for (const keyword of Object.keys(email.keywords)) if (isLabel(keyword)) known.add(keyword)
  return [...known].sort().map((keyword) => {
    const on = rows.length > 0 && rows.every((row) => row.labels.includes(keyword))
    return { label: labelName(keyword), checked: on, run: () => withTarget((chosen) => actions.label(chosen, keyword, !on)) }
  })
}
export function newLabel(name: string): Item {
  return { label: t('mail.new-label', { name }), run: () => withTarget((chosen) => actions.label(chosen, name, true)) }
}

/** Moments one puts things off to, those that are still to come. */
export function moments(now = new Date()): [Key, Date][] {
  const at = (days: number, hour: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour)
  const later = new Date(now.getTime() + 3 * 3_600_000)
  later.setMinutes(0, 0, 0)
  const all: [Key, Date][] = [
    ['when.later-today', later],
    ['when.tonight', at(0, 19)],
    ['when.tomorrow', at(1, 8)],
    ['when.weekend', at((6 - now.getDay() + 7) % 7 || 7, 9)],
    ['when.next-week', at((8 - now.getDay()) % 7 || 7, 8)],
  ]
  return all.filter(([key, date]) => date > now && (key !== 'when.later-today' || (date.getDate() === now.getDate() && date.getHours() < 18)))
}
/** `longest`: seconds that may lie before it. */
export function momentItems(run: (when: Date) => void, longest = Infinity): Item[] {
  const items: Item[] = moments().map(([key, date]) => ({ label: t(key), hint: nearDate(date), run: () => run(date) }))
  return [...items, { label: t('when.pick'), apart: true, run: () => void pick(run, longest) }]
}
async function pick(run: (when: Date) => void, longest: number): Promise<void> {
  const tomorrow = new Date(Date.now() + 86_400_000)
  let value = `${tomorrow.getFullYear()}-${String(tomorrow.getMonth() + 1).padStart(2, '0')}-${String(tomorrow.getDate()).padStart(2, '0')}T09:00`
  for (;;) {
    const chosen = await askText({ title: t('when.pick'), confirm: t('when.set'), field: { label: t('when.pick'), value, type: 'datetime-local' } })
    if (!chosen) return
    const when = new Date(chosen)
    const seconds = (when.getTime() - Date.now()) / 1000
    if (seconds > 0 && seconds <= longest) return run(when)
    trouble(seconds > 0 ? t('when.too-far', { when: longDay(new Date(Date.now() + longest * 1000)) }) : t('when.past'))
    value = chosen
  }
}
export function snoozeItems(place: Place): Item[] {
  const items = momentItems((when) => withTarget((chosen) => actions.snooze(chosen, when), true))
  const inbox = mail.role('inbox')
  if (place.mailbox?.role !== 'snoozed' || !inbox) return items
  return [{ label: t('mail.unsnooze'), run: () => withTarget((chosen) => actions.moveTo(chosen, inbox.id), true) }, ...items]
}
