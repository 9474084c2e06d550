// The tab's title says account and unread mail; its seal gets a dot.
import { t } from '../i18n/index.svelte'
import { route } from '../router.svelte'
import { PAGES } from '../pages'
import { mail } from '../store/mail.svelte'

export function watchTitle(): void {
  $effect(() => {
    const unread = mail.role('inbox')?.unreadThreads ?? 0
    const page = PAGES[route().page]
    const place = page ? t(page.title) : t('folder.inbox')
    document.title = `${unread ? `(${unread}) ` : ''}${place} · ${mail.client.session.username}`
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')
    const wanted = unread ? '/seal-unread.svg' : '/seal.svg'
    if (icon && !icon.href.endsWith(wanted)) icon.href = wanted
  })
}
