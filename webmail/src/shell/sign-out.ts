// Signing out ends the session at the server and forgets what this device remembers of the account.
import { mail } from '../store/mail.svelte'
import { Cache } from '../store/cache'

export async function signOut(): Promise<void> {
  await fetch('/logout', { method: 'POST', credentials: 'same-origin', headers: { 'x-posthouse': 'webmail' } }).catch(() => undefined)
  localStorage.removeItem('posthouse.session')
  mail.cache.close()
  await Cache.forget(mail.client.accountId)
  location.assign('/login')
}
