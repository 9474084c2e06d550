// vCard files in and out (`VCard/import`, `VCard/export`, docs/jmap-extensions.md).
import { notify, trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { mail } from '../store/mail.svelte'
import { contacts } from './contacts.svelte'
import { inScope, type Scope } from './scopes'
import { tried } from './doing'

interface Imported {
  created: string[]
  updated: string[]
  skipped: string[] | number
  notCreatedTotal: number
}
const many = (of: string[] | number | undefined) => (Array.isArray(of) ? of.length : (of ?? 0))

export async function importFile(file: File, addressBookId: string): Promise<void> {
  try {
    const { blobId } = await mail.client.upload(file)
    const batch = mail.client.batch()
    const call = batch.add<Imported>('VCard/import', { blobId, ...(addressBookId ? { addressBookId } : {}) })
    await batch.send()
    const { created, updated, skipped, notCreatedTotal } = call.result
    await contacts.load()
    const all = { n: many(created), updated: many(updated), skipped: many(skipped), failed: notCreatedTotal ?? 0 }
    notify(all.updated + all.skipped + all.failed ? t('contacts.imported-with', all) : t('contacts.imported', { n: all.n }))
  } catch (fault) {
    mail.meet(fault)
    trouble(t('contacts.import-failed', { why: fault instanceof Error && fault.name === 'Refused' ? fault.message : t('state.unreachable') }))
  }
}

/** A file of what the scope shows. */
export async function exportScope(scope: Scope): Promise<void> {
  await tried(async () => {
    const batch = mail.client.batch()
    const which = scope.kind === 'book' ? { addressBookId: scope.id } : scope.kind === 'group' ? { ids: [scope.card.id, ...[...contacts.cards.values()].filter((card) => inScope(card, scope)).map(({ id }) => id)] } : {}
    const call = batch.add<{ blobId: string; type: string }>('VCard/export', which)
    await batch.send()
    const link = document.createElement('a')
    link.href = mail.client.download(call.result.blobId, 'contacts.vcf', call.result.type)
    link.download = 'contacts.vcf'
    link.click()
  })
}
