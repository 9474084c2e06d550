// What others share (RFC 9670): their accounts beside one's own, who has told what, and which account is shown.
import { SvelteMap } from 'svelte/reactivity'
import { MAIL, PRINCIPALS } from '../jmap/client'
import type { Id, Mailbox, ShareNotification } from '../jmap/types'
import { route } from '../router.svelte'
import { mail, MailStore } from './mail.svelte'

/** Accounts of which one sees something. */
export const shared = new SvelteMap<Id, MailStore>()
const state = $state<{ told: ShareNotification[]; ready: boolean }>({ told: [], ready: false })
let looking: Promise<void> | undefined
let again = false
/** What was put away here, and the server may not know it yet: one may be offline. */
const putAway = new Set<Id>()
/** The rights in each folder of which the news was put away: a notice that took the place of it begins before them. */
const known = new Map<string, ShareNotification['newRights']>()

/** What others have lately changed, until it is put away: of each folder what has become of it since. */
export function notices(): ShareNotification[] {
  return summary().filter(({ oldRights, newRights }) => JSON.stringify(oldRights) !== JSON.stringify(newRights))
}
/** One notice for each folder, the newest first: from the rights one had at first to those one has now. */
function summary(): ShareNotification[] {
  const found = new Map<string, ShareNotification>()
  for (const notice of state.told) {
    const folder = subject(notice)
    const first = found.get(folder) ?? { oldRights: known.has(folder) ? (known.get(folder) ?? null) : notice.oldRights }
    found.delete(folder)
    found.set(folder, { ...notice, oldRights: first.oldRights })
  }
  return [...found.values()].reverse()
}
const subject = ({ objectAccountId, objectId }: ShareNotification) => `${objectAccountId} ${objectId}`
/** Whether it is known what others share. */
export function isKnown(): boolean {
  return state.ready
}

/** The account that the address means: `/shared/ACCOUNT/…`, else one's own. */
export function shown(): MailStore {
  const { page, parts } = route()
  return (page === 'shared' && shared.get(parts[0] ?? '')) || mail
}
/** Whose it is. */
export function ownerOf(store: MailStore): string {
  return store.client.session.accounts[store.client.accountId]?.name ?? ''
}

/** Begin to follow what others share; returns how to stop. */
export function followShares(): () => void {
  void look()
  mail.onPush = (changed) => {
    if (changed[mail.client.accountId]?.['ShareNotification']) void look()
    for (const store of shared.values()) store.hear({ changed })
  }
  mail.onMissed = () => void look()
  return () => {
    mail.onPush = () => {}
    mail.onMissed = () => {}
  }
}

/** Read what is shared and what was told. Calls during one under way lead to one more. */
function look(): Promise<void> {
  if (looking) again = true
  looking ??= lookOnce()
    .catch((fault: unknown) => mail.meet(fault))
    .finally(() => {
      looking = undefined
      state.ready ||= mail.online
      if (again) {
        again = false
        void look()
      }
    })
  return looking
}

async function lookOnce(): Promise<void> {
  if (!mail.online || !mail.client.has(PRINCIPALS)) return
  const batch = mail.client.batch()
  const gone = [...putAway]
  if (gone.length) batch.set('ShareNotification', { destroy: gone })
  const told = batch.get<ShareNotification>('ShareNotification', { ids: null })
  await batch.send()
  state.told = told.result.list.filter(({ id, objectType }) => objectType === 'Mailbox' && !putAway.has(id)).sort((one, other) => one.created.localeCompare(other.created))
  for (const id of gone) putAway.delete(id)
  for (const folder of known.keys()) if (!state.told.some((notice) => subject(notice) === folder)) known.delete(folder)
  await wantAll(summary())
  const { accounts } = await mail.client.connect()
  for (const id of shared.keys()) if (!accounts[id]) shared.delete(id)
  const others = Object.entries(accounts).filter(([, account]) => !account.isPersonal && account.accountCapabilities[MAIL])
  // One that is withdrawn meanwhile keeps nobody from the others.
  await Promise.all(others.map(([id]) => follow(id).catch((fault: unknown) => mail.meet(fault))))
}

async function follow(id: Id): Promise<void> {
  const known = shared.get(id)
  const store = known ?? new MailStore(id)
  if (!known) await store.openShared(mail)
  else {
    store.client.session = mail.client.session
    await store.sync()
  }
  shared.set(id, store)
}

/** Folders of which there is news are shown: one subscribes to them (RFC 8621 §2). */
async function wantAll(told: ShareNotification[]): Promise<void> {
  const begun = told.filter((notice) => notice.newRights && !shared.get(notice.objectAccountId)?.mailboxes.get(notice.objectId)?.isSubscribed)
  for (const account of new Set(begun.map((notice) => notice.objectAccountId))) {
    const ids = begun.filter((notice) => notice.objectAccountId === account).map((notice) => notice.objectId)
    const batch = mail.client.batch(account)
    batch.set<Mailbox>('Mailbox', { update: Object.fromEntries(ids.map((id) => [id, { isSubscribed: true }])) })
    await batch.send() // what is no longer shared is refused, and told by another notice
  }
}

/** Put away what was told of a notice's folder; it is gone on every device, as soon as one is online. */
export function dismiss(notice: ShareNotification): void {
  for (const each of state.told) if (subject(each) === subject(notice)) putAway.add(each.id)
  known.set(subject(notice), notice.newRights)
  state.told = state.told.filter(({ id }) => !putAway.has(id))
  void look()
}
