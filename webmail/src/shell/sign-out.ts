// The end of a session: what this device remembers of the account goes with it.
import { Cache } from '../store/cache'
import { mail } from '../store/mail.svelte'
import { forgetSession } from '../store/remembering'
import { trouble } from '../design/toasts.svelte'
import { ask } from '../design/ask.svelte'
import { t } from '../i18n/index.svelte'
import { composers } from '../compose/composers.svelte'
import { keepAll, keptDrafts } from '../compose/keeping'

/** Somebody is signing out: the server ends what it tells us, and that is no news. */
let leaving = false

/** Sign out: the server ends the session, and nothing of the account stays here. Asks when something unsent would be lost. */
export async function signOut(): Promise<void> {
  keepAll()
  const unsent = (await keptDrafts()).length + composers().filter((composer) => ['changed', 'saving', 'failed'].includes(composer.saved)).length
  const waiting = unsent + mail.outbox.size
  if (waiting && !(await ask({ title: t('app.sign-out'), text: t('app.sign-out-unsent', { n: waiting }), confirm: t('app.sign-out'), danger: true }))) return
  leaving = true
  const answer = await fetch('/logout', { method: 'POST', credentials: 'same-origin', headers: { 'x-posthouse': 'webmail' } }).catch(() => undefined)
  if (!answer?.ok && ![401, 404].includes(answer?.status ?? 0)) {
    leaving = false
    return void trouble(t('app.sign-out-failed')) // who sits here next would still be signed in
  }
  mail.cache.close()
  await forgetSession()
  await Cache.forget(mail.client.accountId)
  location.assign('/login')
}

/** The server has ended the session. The mail goes from this device; what is unsent stays for its owner to come back to. */
export async function sessionEnded(): Promise<void> {
  if (leaving) return // else this page would go before all is forgotten
  mail.cache.close()
  await forgetSession()
  location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`)
}
