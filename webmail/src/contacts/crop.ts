// The square that is cut out of a picture: where it lies, and what moves it. Lengths are pixels of the picture.
export interface Extent {
  width: number
  height: number
}
/** How a picture lies under the square: by how much it is enlarged (1: the square touches two of its edges) and what is in the middle. */
export interface View {
  zoom: number
  x: number
  y: number
}
export interface Square {
  left: number
  top: number
  side: number
}
export const MOST_ZOOM = 8

/** The middle of the picture, as much of it as fits. */
export function wholeView({ width, height }: Extent): View {
  return { zoom: 1, x: width / 2, y: height / 2 }
}
export function squareOf(picture: Extent, { zoom, x, y }: View): Square {
  const side = sideOf(picture, zoom)
  return { left: x - side / 2, top: y - side / 2, side }
}
/** The view moved by parts of the square's side; the square stays inside the picture. */
export function moved(picture: Extent, view: View, across: number, down: number): View {
  const side = sideOf(picture, view.zoom)
  return inside(picture, { ...view, x: view.x + across * side, y: view.y + down * side })
}
export function zoomed(picture: Extent, view: View, zoom: number): View {
  return inside(picture, { ...view, zoom: Math.min(MOST_ZOOM, Math.max(1, zoom)) })
}

function sideOf({ width, height }: Extent, zoom: number): number {
  return Math.min(width, height) / zoom
}
function inside(picture: Extent, view: View): View {
  const half = sideOf(picture, view.zoom) / 2
  const within = (at: number, length: number) => Math.min(length - half, Math.max(half, at))
  return { ...view, x: within(view.x, picture.width), y: within(view.y, picture.height) }
}
