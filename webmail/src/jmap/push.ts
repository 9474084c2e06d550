// State changes as they happen: EventSource (RFC 8620 §7.3), joined anew by the browser when it breaks.
import { expand, local, type JmapClient } from './client'
import type { Id } from './types'

export interface StateChange {
  changed: Record<Id, Record<string, string>>
}
const PING_SECONDS = 30
const AGAIN_MS = 5_000
/** Nothing heard for so long, though pings were to come: the connection is lost, and nobody was told. */
const SILENT_MS = 3_000 * PING_SECONDS

/** Listen until the returned function is called. `onOpen` runs at each (re)joining: something may have been missed. */
export function listen(client: JmapClient, onChange: (change: StateChange) => void, onOpen: () => void, onLost: () => void): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let silence: ReturnType<typeof setTimeout> | undefined
  let ended = false

  const heard = () => {
    clearTimeout(silence)
    silence = setTimeout(() => {
      clearTimeout(timer)
      source?.close()
      onLost()
      join()
    }, SILENT_MS)
  }
  const join = () => {
    const url = expand(client.session.eventSourceUrl, { types: '*', closeafter: 'no', ping: String(PING_SECONDS) })
    source = new EventSource(local(url))
    heard()
    for (const name of ['open', 'state', 'ping']) source.addEventListener(name, heard)
    source.addEventListener('open', onOpen)
    source.addEventListener('state', (event) => onChange(JSON.parse((event as MessageEvent<string>).data) as StateChange))
    source.addEventListener('error', () => {
      onLost()
      // The browser tries again by itself unless the server answered with an error.
      if (source?.readyState === EventSource.CLOSED && !ended) timer = setTimeout(join, AGAIN_MS)
    })
  }
  join()
  return () => {
    ended = true
    clearTimeout(timer)
    clearTimeout(silence)
    source?.close()
  }
}
