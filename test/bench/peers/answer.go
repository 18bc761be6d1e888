// The peer of the answering rows: the same answers from Go's net/http, encoded by encoding/json each time.
// Reads lines of JSON {"ip": "...", "pod": {...}} from standard input, then listens and prints its port.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
)

type container struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Image    string `json:"image"`
	ID       string `json:"id"`
	Ready    bool   `json:"ready"`
	Restarts int    `json:"restarts"`
}

type owner struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	UID    string `json:"uid,omitempty"`
	Source string `json:"source,omitempty"`
}

type pod struct {
	Name            string            `json:"name"`
	Namespace       string            `json:"namespace"`
	UID             string            `json:"uid"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	PodIP           string            `json:"pod_ip"`
	PodIPs          []string          `json:"pod_ips"`
	HostIP          string            `json:"host_ip"`
	HostIPs         []string          `json:"host_ips"`
	NodeName        string            `json:"node_name"`
	Phase           string            `json:"phase"`
	Ready           bool              `json:"ready"`
	Terminating     bool              `json:"terminating"`
	HostNetwork     bool              `json:"host_network"`
	ServiceAccount  string            `json:"service_account"`
	Owner           *owner            `json:"owner"`
	Workload        *owner            `json:"workload"`
	Containers      []container       `json:"containers"`
	QosClass        string            `json:"qos_class"`
	CreatedAt       string            `json:"created_at"`
	StartedAt       *string           `json:"started_at"`
	ResourceVersion string            `json:"resource_version"`
}

func main() {
	runtime.GOMAXPROCS(1)
	pods := map[string]*pod{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var line struct {
			IP  string `json:"ip"`
			Pod *pod   `json:"pod"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			panic(err)
		}
		pods[line.IP] = line.Pod
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := pods[r.URL.Query().Get("ip")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		body, _ := json.Marshal(found)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})))
}
