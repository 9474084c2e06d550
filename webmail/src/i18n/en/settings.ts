// Words of the settings pages (src/settings).
export const settings = {
  'settings.title': 'Settings',
} as const
