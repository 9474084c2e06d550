// The pages that are loaded when somebody goes there. One row each: the first part of the address, who may see it, its component.
// A page component gets `parts` (the rest of the path) and uses the stores like every other.
import type { Component } from 'svelte'
import type { Key } from './i18n/index.svelte'

export interface Page {
  title: Key
  /** Shown only to accounts whose JMAP session has this capability. */
  capability?: string
  load: () => Promise<{ default: Component<{ parts: string[] }> }>
}

export const PAGES: Record<string, Page> = {
  settings: { title: 'app.settings', load: () => import('./settings/Settings.svelte') },
  admin: { title: 'app.admin', capability: 'urn:posthouse:params:jmap:admin', load: () => import('./admin/Admin.svelte') },
  contacts: { title: 'app.contacts', capability: 'urn:ietf:params:jmap:contacts', load: () => import('./contacts/ContactsPage.svelte') },
  track: { title: 'track.title', load: () => import('./track/Track.svelte') },
}
