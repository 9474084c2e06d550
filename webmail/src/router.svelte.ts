// Where the reader is. Addresses are plain paths, so that the browser's history, bookmarks and new tabs work.
//   /mail/inbox             a folder by its role, or /mail/ID
//   /mail/inbox/THREAD      a conversation in it
//   /shared/ACCOUNT/ID     a folder that somebody else shares
//   /search/THREAD?q=…      results, perhaps with one open
//   /track/EMAIL            where a sent message is
//   /settings/… /admin/…    pages of their own, loaded when asked for (see pages.ts)

export interface Route {
  /** First part of the path: `mail`, `search`, `track`, `settings`, `admin`, … */
  page: string
  /** The rest of the path, part by part, decoded. */
  parts: string[]
  query: URLSearchParams
}

const state = $state<{ route: Route }>({ route: parse(location.pathname, location.search) })

/** The current place. */
export function route(): Route {
  return state.route
}

/** The route of a path. */
export function parse(path: string, search = ''): Route {
  const parts = path.split('/').filter(Boolean).map(decoded)
  const [page = 'mail', ...rest] = parts
  return { page, parts: rest, query: new URLSearchParams(search) }
}

/** Without percent escapes; broken ones are taken as they stand. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

let here = location.href
/** Who is asked before this place is left, if anybody is. */
let mayLeave: (() => Promise<boolean>) | undefined

/** Have `ask` say whether the place may be left. The result ends it. */
export function guardLeaving(ask: () => Promise<boolean>): () => void {
  mayLeave = ask
  return () => {
    if (mayLeave === ask) mayLeave = undefined
  }
}

/** Go to `address` (path and query). `replace`: without a new step in the history. */
export function go(address: string, { replace = false } = {}): void {
  const target = new URL(address, location.origin)
  const same = target.pathname === location.pathname && target.search === location.search
  if (same && !replace) return
  if (mayLeave) return void leaveFor(target, replace)
  history[replace ? 'replaceState' : 'pushState'](null, '', target)
  arrive()
}
/** The browser's address is where we are. */
function arrive(): void {
  here = location.href
  state.route = parse(location.pathname, location.search)
}
async function leaveFor(target: URL, replace: boolean): Promise<void> {
  if (!(await mayLeave?.())) return
  mayLeave = undefined
  go(target.href, { replace })
}

/** A path from its parts, each escaped. */
export function path(...parts: string[]): string {
  return '/' + parts.map(encodeURIComponent).join('/')
}

/** Follow the browser's back and forward, and plain clicks on links within the application. */
export function startRouter(): void {
  addEventListener('popstate', () => {
    if (mayLeave) {
      const target = new URL(location.href)
      history.pushState(null, '', here) // the browser has gone already: back, until it is known
      return void leaveFor(target, false)
    }
    arrive()
  })
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest?.('a')
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin || link.dataset['outside'] !== undefined) return
    event.preventDefault()
    go(link.pathname + link.search)
  })
}
