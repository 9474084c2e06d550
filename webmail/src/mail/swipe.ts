// A row wiped aside with a finger: to the left it is put away, to the right it is read or unread again.
import type { Attachment } from 'svelte/attachments'

export interface Swipe {
  /** What the row is told to do, as it is said on the ground that it leaves bare. */
  says: string
  act: () => void
}
export interface Swipes {
  left: Swipe
  right: Swipe
}

const STARTS = 12 // pixels before it counts as sideways; up and down stays scrolling
const REACHES = 88 // pixels after which letting go does it
const STEEPEST = 0.6 // how much it may go up or down for each pixel sideways

/** For the slot that holds a row. `swipes` is asked when a finger begins to move: what it then says is done, whatever row has come by its end. */
export function swipeable(swipes: () => Swipes): Attachment<HTMLElement> {
  return (slot) => {
    let from: { x: number; y: number } | undefined
    let moved = 0
    let begun: Swipes | undefined

    const row = () => slot.firstElementChild as HTMLElement | null
    function show(distance: number) {
      moved = distance
      const side = distance < 0 ? 'left' : 'right'
      slot.dataset['swipe'] = side
      slot.dataset['says'] = (begun ??= swipes())[side].says // nothing: it only gives way
      slot.toggleAttribute('data-armed', Math.abs(distance) >= REACHES)
      row()?.style.setProperty('transform', `translateX(${distance}px)`)
    }
    function rest() {
      from = undefined
      moved = 0
      begun = undefined
      delete slot.dataset['swipe']
      delete slot.dataset['says']
      slot.removeAttribute('data-armed')
      row()?.style.removeProperty('transform')
    }
    function down(event: PointerEvent) {
      rest()
      if (event.pointerType === 'touch' && event.isPrimary) from = { x: event.clientX, y: event.clientY }
    }
    function move(event: PointerEvent) {
      if (!from || !event.isPrimary) return
      const [x, y] = [event.clientX - from.x, event.clientY - from.y]
      if (!moved && Math.abs(y) > Math.max(STARTS, Math.abs(x) * STEEPEST)) return rest()
      if (!moved && Math.abs(x) < STARTS) return
      if (!moved) slot.setPointerCapture(event.pointerId)
      show(x || 1)
    }
    function up() {
      const way = moved < 0 ? 'left' : 'right'
      const does = Math.abs(moved) >= REACHES ? begun : undefined
      if (moved) slot.addEventListener('click', halt, { capture: true, once: true })
      setTimeout(() => slot.removeEventListener('click', halt, { capture: true }))
      rest()
      if (!does) return
      // The next message takes the row's place: it doesn't slide in from where this one went.
      row()?.getAnimations().forEach((gliding) => gliding.finish())
      does[way].act()
    }
    /** The finger was no tap. */
    function halt(event: Event) {
      event.preventDefault()
      event.stopPropagation()
    }

    slot.addEventListener('pointerdown', down)
    slot.addEventListener('pointermove', move)
    slot.addEventListener('pointerup', up)
    slot.addEventListener('pointercancel', rest)
    return () => {
      slot.removeEventListener('pointerdown', down)
      slot.removeEventListener('pointermove', move)
      slot.removeEventListener('pointerup', up)
      slot.removeEventListener('pointercancel', rest)
    }
  }
}
