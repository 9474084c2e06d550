// Where things stand at this window's width: three panes, two, or one at a time.
export const layout = $state({ drawer: false, width: innerWidth })
addEventListener('resize', () => (layout.width = innerWidth))
export const isPhone = () => layout.width < 720
export const hasFolders = () => layout.width >= 1180
