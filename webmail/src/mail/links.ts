// A link whose words are one address and whose target is another wants to deceive.
export function linkSays(link: HTMLAnchorElement): { says: string; leads: string } | undefined {
  const words = (link.textContent ?? '').trim()
  const shown = /^(?:https?:\/\/)?((?:[\p{L}\p{N}-]+\.)+[\p{L}]{2,})(?:[/?#:]|$)/iu.exec(words)?.[1]?.toLowerCase()
  if (!shown || !/^https?:$/.test(link.protocol)) return undefined
  const host = link.hostname.toLowerCase()
  const bare = (name: string) => name.replace(/^www\./, '')
  if (bare(host) === bare(shown) || host.endsWith(`.${bare(shown)}`)) return undefined
  return { says: shown, leads: host }
}
