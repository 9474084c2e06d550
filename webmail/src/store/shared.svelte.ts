// What others share (RFC 9670): their accounts beside one's own, who has told what, and which account is shown.
import { SvelteMap } from 'svelte/reactivity'
import { MAIL, PRINCIPALS } from '../jmap/client'
import type { Id, Mailbox, ShareNotification } from '../jmap/types'
import { route } from '../router.svelte'
import { mail, MailStore } from './mail.svelte'

/** Accounts of which one sees something. */
export const shared = new SvelteMap<Id, MailStore>()
const state = $state<{ notices: ShareNotification[]; ready: boolean }>({ notices: [], ready: false })
let looking: Promise<void> | undefined
let again = false

/** What others have lately changed, until it is put away. */
export function notices(): ShareNotification[] {
  return state.notices
}
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
  return () => {
    mail.onPush = () => {}
  }
}

/** Read what is shared and what was told. Calls during one under way lead to one more. */
function look(): Promise<void> {
  if (looking) again = true
  looking ??= lookOnce()
    .catch((fault: unknown) => mail.meet(fault))
    .finally(() => {
      looking = undefined
      state.ready = true
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
  const told = batch.get<ShareNotification>('ShareNotification', { ids: null })
  await batch.send()
  state.notices = told.result.list.filter((notice) => notice.objectType === 'Mailbox').sort((one, other) => other.created.localeCompare(one.created))
  await wantAll(state.notices)
  const { accounts } = await mail.client.connect()
  for (const id of shared.keys()) if (!accounts[id]) shared.delete(id)
  for (const [id, account] of Object.entries(accounts)) {
    if (account.isPersonal || !account.accountCapabilities[MAIL]) continue
    const store = shared.get(id)
    if (store) {
      store.client.session = mail.client.session
      await store.sync()
    } else await open(id)
  }
}

async function open(id: Id): Promise<void> {
  const store = new MailStore(id)
  await store.openShared(mail)
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

/** Put notices away; they are gone on every device. */
export async function dismiss(told: ShareNotification[]): Promise<void> {
  const ids = told.map((notice) => notice.id)
  state.notices = state.notices.filter((notice) => !ids.includes(notice.id))
  const batch = mail.client.batch()
  batch.set('ShareNotification', { destroy: ids })
  await batch.send().catch((fault: unknown) => mail.meet(fault))
}
