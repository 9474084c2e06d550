// Messages whose pictures from elsewhere the reader wants to see: until the page is loaded again.
import { SvelteSet } from 'svelte/reactivity'
import type { Id } from '../jmap/types'

export const pictured = new SvelteSet<Id>()
