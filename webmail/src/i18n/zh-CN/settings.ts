// Words of the settings pages (src/settings).
export const settings = {
  'settings.title': '设置',
} as const
