let hubs: [Scenario] = []
