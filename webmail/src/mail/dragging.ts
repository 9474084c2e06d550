// Conversations dragged from the list onto a folder.
import { t } from '../i18n/index.svelte'
import type { Id } from '../jmap/types'

const TYPE = 'application/x-posthouse-conversations'

export function dragConversations(event: DragEvent, ids: Id[], subject: string): void {
  const data = event.dataTransfer
  if (!data) return
  data.setData(TYPE, JSON.stringify(ids))
  data.effectAllowed = 'move'
  const ghost = document.createElement('div')
  ghost.className = 'drag-ghost'
  ghost.textContent = ids.length > 1 ? t('list.selected', { n: ids.length }) : subject
  document.body.append(ghost)
  data.setDragImage(ghost, 12, 12)
  setTimeout(() => ghost.remove())
}
export function carriesConversations(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes(TYPE) ?? false
}
export function droppedConversations(event: DragEvent): Id[] {
  const data = event.dataTransfer?.getData(TYPE)
  return data ? (JSON.parse(data) as Id[]) : []
}
