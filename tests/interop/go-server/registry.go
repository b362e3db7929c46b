package main

import (
	"slices"
	"sync"

	"github.com/philippseith/signalr"
)

// registry knows who is connected and who is in which group. It stands in for the library's own manager, which starts
// a goroutine per message and so loses their order.
type registry struct {
	mu     sync.Mutex
	online map[string]signalr.HubConnection
	groups map[string]map[string]bool
	left   map[string]bool
	// Streams whose reader went away, by the key the caller gave.
	cancelled map[string]bool
}

func newRegistry() *registry {
	return &registry{
		online:    map[string]signalr.HubConnection{},
		groups:    map[string]map[string]bool{},
		left:      map[string]bool{},
		cancelled: map[string]bool{},
	}
}

func (r *registry) OnConnected(conn signalr.HubConnection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.online[conn.ConnectionID()] = conn
}

func (r *registry) OnDisconnected(conn signalr.HubConnection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := conn.ConnectionID()
	delete(r.online, id)
	for _, members := range r.groups {
		delete(members, id)
	}
	r.left[id] = true
}

func (r *registry) InvokeAll(target string, args []interface{}) {
	r.send(target, args, func(string) bool { return true })
}

func (r *registry) InvokeClient(id string, target string, args []interface{}) {
	r.send(target, args, func(other string) bool { return other == id })
}

func (r *registry) InvokeGroup(group string, target string, args []interface{}) {
	r.send(target, args, r.in(group))
}

func (r *registry) AddToGroup(group, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.groups[group] == nil {
		r.groups[group] = map[string]bool{}
	}
	r.groups[group][id] = true
}

func (r *registry) RemoveFromGroup(group, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups[group], id)
}

// in tells members of a group. It is asked with the lock held.
func (r *registry) in(group string) func(string) bool {
	return func(id string) bool { return r.groups[group][id] }
}

func except(chosen func(string) bool, ids ...string) func(string) bool {
	return func(id string) bool { return chosen(id) && !slices.Contains(ids, id) }
}

// send calls the target on every connection that is chosen, one after the other.
func (r *registry) send(target string, args []interface{}, chosen func(string) bool) {
	r.mu.Lock()
	var connections []signalr.HubConnection
	for id, conn := range r.online {
		if chosen(id) {
			connections = append(connections, conn)
		}
	}
	r.mu.Unlock()
	for _, conn := range connections {
		// A connection that is just closing is no failure of the others.
		_ = conn.SendInvocation("", target, args)
	}
}

func (r *registry) hasLeft(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left[id]
}

func (r *registry) cancel(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancelled[key] = true
}

func (r *registry) wasCancelled(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cancelled[key]
}
