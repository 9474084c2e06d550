// Files of a message that is written: taken in, uploaded, taken away.
import { size } from '../design/format'
import { trouble } from '../design/toasts.svelte'
import { t } from '../i18n/index.svelte'
import { mail } from '../store/mail.svelte'
import { nextKey, type Attached, type Composer } from './composers.svelte'

export interface Attaching {
  /** Right of the @ in a picture's Content-ID. */
  domain: string
  /** Puts an uploaded picture into the text. */
  show: (url: string, cid: string, name: string) => void
  changed: () => void
}

/** Begin to upload files; pictures go into the text when `inline`. */
export function attach(composer: Composer, files: File[], inline: boolean, how: Attaching): void {
  const most = mail.client.limit('maxSizeUpload', Infinity)
  for (const file of files) {
    if (file.size > most) {
      trouble(t('compose.too-large', { name: file.name, limit: size(most) }))
      continue
    }
    const picture = inline && file.type.startsWith('image/') && !composer.plain
    const cid = picture ? `${crypto.randomUUID()}@${how.domain || 'posthouse'}` : undefined
    composer.attachments.push({ key: nextKey(), name: file.name || 'image.png', type: file.type, size: file.size, done: 0, ...(cid ? { cid } : {}) })
    void upload(composer.attachments.at(-1) as Attached, file, how)
  }
}

async function upload(entry: Attached, file: File, how: Attaching): Promise<void> {
  try {
    const { blobId } = await mail.client.upload(file, (part) => (entry.done = part))
    entry.blobId = blobId
    entry.done = 1
    if (entry.cid) how.show(mail.client.download(blobId, entry.name, entry.type), entry.cid, entry.name)
    how.changed()
  } catch (fault) {
    entry.failed = true
    trouble(t('compose.upload-failed', { name: entry.name }))
    mail.meet(fault)
  }
}

export function detach(composer: Composer, entry: Attached): void {
  composer.attachments = composer.attachments.filter((each) => each.key !== entry.key)
}
