// What one does with contacts and groups, each with its note or question; failures are said in words.
import { openComposer } from '../compose/composers.svelte'
import { membersOf } from '../compose/people.svelte'
import { ask, askText } from '../design/ask.svelte'
import { notify, trouble, undoable } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { go } from '../router.svelte'
import { inWords } from '../settings/own'
import { mail } from '../store/mail.svelte'
import { contacts } from './contacts.svelte'
import { emailsOf, nameOf, type Card } from './jscontact'
import { addressOf, type Scope } from './scopes'

/** Run what asks the server; whether it worked. */
export async function tried(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run()
    return true
  } catch (fault) {
    mail.meet(fault)
    trouble(inWords(fault))
    return false
  }
}

export function writeTo(card: Card, email = emailsOf(card)[0]): void {
  if (email) openComposer({ to: [{ name: nameOf(card) || null, email }] })
}
export function writeToGroup(group: Card): void {
  openComposer({ to: membersOf(group.members ?? {}) })
}

export async function remove(card: Card, scope: Scope): Promise<void> {
  const { id: _id, ...content } = card
  const groups = [...contacts.cards.values()].filter((each) => each.members?.[card.uid]).map((group) => group.id)
  if (!(await tried(() => contacts.destroy([card.id])))) return
  go(addressOf(scope), { replace: true })
  undoable(t('contacts.deleted', { name: nameOf(card) || t('contacts.nameless') }), () => void tried(() => restore(content, groups)))
}
/** Made anew with the same uid, so that groups know it again. */
async function restore(content: Omit<Card, 'id'>, groups: string[]): Promise<void> {
  await contacts.create(content)
  const lost = groups.filter((id) => !contacts.cards.get(id)?.members?.[content.uid])
  if (lost.length) await contacts.update(Object.fromEntries(lost.map((id) => [id, { [`members/${escaped(content.uid)}`]: true }])))
}

export async function newGroup(members: string[] = []): Promise<void> {
  const name = await askText({ title: t('contacts.new-group'), confirm: t('act.create'), field: { label: t('contacts.group-name'), value: '' } })
  if (!name?.trim()) return
  await tried(async () => {
    const id = await contacts.create({ kind: 'group', name: { full: name.trim() }, members: Object.fromEntries(members.map((uid) => [uid, true])), addressBookIds: { [contacts.defaultBook]: true } })
    if (!members.length) go(`/contacts/group-${encodeURIComponent(id)}`)
  })
}
export async function renameGroup(group: Card): Promise<void> {
  const name = await askText({ title: t('contacts.rename-group'), confirm: t('act.save'), field: { label: t('contacts.group-name'), value: nameOf(group) } })
  if (name?.trim()) await tried(() => contacts.update({ [group.id]: { name: { full: name.trim() } } }))
}
export async function deleteGroup(group: Card): Promise<void> {
  const name = nameOf(group)
  if (!(await ask({ title: t('contacts.delete-group'), text: t('contacts.delete-group-ask', { name }), confirm: t('act.delete'), danger: true }))) return
  if (await tried(() => contacts.destroy([group.id]))) {
    go('/contacts/all', { replace: true })
    notify(t('contacts.deleted', { name }))
  }
}
export async function setMember(group: Card, card: Card, on: boolean): Promise<void> {
  // By its path alone: what another window has put in or taken out meanwhile stays.
  const one = { [`members/${escaped(card.uid)}`]: on ? true : null }
  await tried(() => contacts.update({ [group.id]: Object.keys(group.members ?? {}).length ? one : { members: { [card.uid]: true } } }))
}
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
