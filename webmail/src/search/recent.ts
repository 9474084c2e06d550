// The last searches on this device.
/** Where they lie; they go with the account's mail. */
export const SEARCHES = 'posthouse.searches'
const MOST = 8

export function recentSearches(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(SEARCHES) ?? '[]')
    return Array.isArray(kept) ? kept.filter((each): each is string => typeof each === 'string') : []
  } catch {
    return []
  }
}
export function rememberSearch(text: string): void {
  const kept = [text, ...recentSearches().filter((each) => each !== text)].slice(0, MOST)
  localStorage.setItem(SEARCHES, JSON.stringify(kept))
}
