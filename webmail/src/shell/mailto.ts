// mailto: addresses (RFC 6068) open a composer.
import { parseAddresses } from '../compose/addresses'
import { openComposer } from '../compose/composers.svelte'
import { escapeHtml } from '../compose/quote'
import { decoded, go } from '../router.svelte'

export function composeFromAddress(query: URLSearchParams): void {
  const mailto = query.get('mailto')
  const values = mailto ? fromMailto(mailto) : query
  openComposer({
    to: parseAddresses(values.get('to') ?? ''),
    cc: parseAddresses(values.get('cc') ?? ''),
    bcc: parseAddresses(values.get('bcc') ?? ''),
    subject: values.get('subject') ?? '',
    html: escapeHtml(values.get('body') ?? '').replaceAll('\n', '<br>'),
  })
  go('/mail/inbox', { replace: true })
}

/** What a mailto: address asks for: `to`, `subject`, `body` and more. */
export function fromMailto(address: string): URLSearchParams {
  const [to = '', ...rest] = address.replace(/^mailto:/i, '').split('?')
  const values = new URLSearchParams(rest.join('?').replaceAll('+', '%2B'))
  const more = values.get('to')
  values.set('to', [decoded(to), more].filter(Boolean).join(','))
  return values
}
