// Which files are the application, and which addresses are its pages.

/** What Vite writes beside the files it made. */
export type Manifest = Record<string, { file: string; css?: string[]; assets?: string[] }>

const ICONS = ['/seal.svg', '/seal-unread.svg', '/app.webmanifest']
const PAGES = ['mail', 'search', 'track', 'contacts', 'settings', 'admin', 'compose']

/** Every file of a version. */
export function wanted(manifest: Manifest): string[] {
  const files = Object.values(manifest).flatMap((entry) => [entry.file, ...(entry.css ?? []), ...(entry.assets ?? [])])
  return [...new Set([...files.filter((name) => name.startsWith('assets/')).map((name) => `/${name}`), ...ICONS])]
}
export function isShell(path: string): boolean {
  return path.startsWith('/assets/') || ICONS.includes(path)
}
/** Whether the application answers this address. Signing in, JMAP and all else are the server's own. */
export function isPage(path: string): boolean {
  const [first = '', second = ''] = path.split('/').filter(Boolean)
  if (path.includes('.') && path.startsWith('/.')) return false
  if (first === 'mail' && ['frame', 'safe', 'image'].includes(second)) return false
  return first === '' || PAGES.includes(first)
}
